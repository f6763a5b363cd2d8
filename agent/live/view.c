/* Keys: 1-4 sort, L lines, t threads, p processes, / filter, space pause, R start anew, ? help, q.
 */
#include "live/view.h"

#include <string.h>

void pst_live_view_init(struct pst_live_view *view)
{
    *view = (struct pst_live_view){.sort = PST_LIVE_BY_OWN_TIME};
}

/* --- the filter --- */

static size_t utf8(uint32_t c, char *dst)
{
    if (c < 0x80) {
        dst[0] = (char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};

    dst[0] = (char)(lead[more] | c >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        dst[i] = (char)(0x80 | (c >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

static void take_back(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
        len--;
    text[len > 0 ? len - 1 : 0] = 0;
}

static enum pst_live_action type(struct pst_live_view *view, uint32_t key)
{
    char bytes[4];
    size_t len = strlen(view->filter), more;

    switch (key) {
    case PST_LIVE_KEY_ENTER:
        view->typing = false;
        break;
    case PST_LIVE_KEY_ESCAPE:
        view->typing = false;
        view->filter[0] = 0;
        break;
    case PST_LIVE_KEY_BACKSPACE:
        take_back(view->filter);
        break;
    default:
        if (key < 0x20 || key == 0x7f || key > 0x10ffff)
            return PST_LIVE_NOTHING;
        more = utf8(key, bytes);
        if (len + more >= sizeof(view->filter))
            return PST_LIVE_NOTHING;
        memcpy(view->filter + len, bytes, more);
        view->filter[len + more] = 0;
        break;
    }
    view->first = 0;
    return PST_LIVE_REDRAW;
}

/* --- the rest --- */

static enum pst_live_action toggle_rows(struct pst_live_view *view, enum pst_live_rows rows)
{
    view->rows = view->rows == rows ? PST_LIVE_FUNCTIONS : rows;
    view->first = 0;
    return PST_LIVE_REDRAW;
}

static enum pst_live_action scroll(struct pst_live_view *view, bool up, size_t by)
{
    if (up)
        view->first -= by < view->first ? by : view->first;
    else if (view->can_scroll)
        view->first += by;
    return PST_LIVE_REDRAW;
}

static enum pst_live_action navigate(struct pst_live_view *view, uint32_t key, size_t page)
{
    switch (key) {
    case PST_LIVE_KEY_UP:
        return scroll(view, true, 1);
    case PST_LIVE_KEY_DOWN:
        return scroll(view, false, 1);
    case PST_LIVE_KEY_PAGE_UP:
        return scroll(view, true, page);
    case PST_LIVE_KEY_PAGE_DOWN:
        return scroll(view, false, page);
    case PST_LIVE_KEY_ESCAPE:
        view->filter[0] = 0;
        return PST_LIVE_REDRAW;
    default:
        return PST_LIVE_NOTHING;
    }
}

static enum pst_live_action choose(struct pst_live_view *view, uint32_t key, size_t page)
{
    switch (key) {
    case '1':
    case '2':
    case '3':
    case '4':
        view->sort = (enum pst_live_sort)(key - '1');
        return PST_LIVE_REDRAW;
    case 'l':
    case 'L':
        return toggle_rows(view, PST_LIVE_LINES);
    case 't':
    case 'T':
        return toggle_rows(view, PST_LIVE_THREADS);
    case 'p':
    case 'P':
        return toggle_rows(view, PST_LIVE_PROCESSES);
    case 'r':
    case 'R':
        return PST_LIVE_RESET;
    case ' ':
        view->paused = !view->paused;
        return PST_LIVE_REDRAW;
    case '/':
        view->typing = true;
        return PST_LIVE_REDRAW;
    case '?':
        view->help = true;
        return PST_LIVE_REDRAW;
    case 'q':
    case 'Q':
        return PST_LIVE_QUIT;
    default:
        return navigate(view, key, page);
    }
}

enum pst_live_action pst_live_view_key(struct pst_live_view *view, uint32_t key, size_t page)
{
    if (view->typing)
        return type(view, key);
    if (!view->help)
        return choose(view, key, page);
    if (key == 'q' || key == 'Q')
        return PST_LIVE_QUIT;
    view->help = false; /* any other key leaves the explanation */
    return PST_LIVE_REDRAW;
}
