/* Draws with ncursesw from top to bottom and lets it find out what changed. */
#include "live/screen.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#define NCURSES_WIDECHAR 1
#include <curses.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "help.h"
#include "render/text.h"

enum {
    HEAD_ROWS = 7, /* title, status, notice, two gauges, blank, column titles */
    FOOT_ROWS = 1,
    NUMBER_COLUMNS = 38, /* in front of the row's text */
};

#ifdef PST_SANITIZED
/* What newterm keeps for its next call, ncurses frees in no way that a program could ask for. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:new_prescr\n";
}
const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
#endif

struct pst_screen {
    SCREEN *terminal;
    bool utf8;
};

/* A terminal whose locale says nothing most likely speaks UTF-8. */
static bool set_up_characters(void)
{
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "ANSI_X3.4-1968") == 0)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* TERM=dumb is known, but cannot put the cursor where it is told. */
static bool is_drawable(void)
{
    const char *place = tigetstr("cup");

    return place && place != (const char *)-1;
}

struct pst_screen *pst_screen_new(void)
{
    struct pst_screen *screen = calloc(1, sizeof(*screen));

    if (!screen)
        return NULL;
    screen->utf8 = set_up_characters();
    screen->terminal = newterm(NULL, stdout, stdin);
    if (screen->terminal && !is_drawable()) {
        (void)endwin();
        delscreen(screen->terminal);
        screen->terminal = NULL;
    }
    if (!screen->terminal) {
        free(screen);
        return NULL;
    }
    (void)cbreak();
    (void)noecho();
    (void)nonl();
    (void)curs_set(0);
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    (void)set_escdelay(50);
    return screen;
}

struct pst_screen *pst_screen_free(struct pst_screen *screen)
{
    if (!screen)
        return NULL;
    /* Not every terminal has a second screen to return from. */
    (void)erase();
    (void)refresh();
    (void)endwin();
    delscreen(screen->terminal);
    free(screen);
    return NULL;
}

size_t pst_screen_page(const struct pst_screen *screen)
{
    return LINES > HEAD_ROWS + FOOT_ROWS ? (size_t)(LINES - HEAD_ROWS - FOOT_ROWS) : 0;
}

/* --- keys --- */

static bool special(int key, uint32_t *ret)
{
    switch (key) {
    case KEY_ENTER:
        *ret = PST_LIVE_KEY_ENTER;
        return true;
    case KEY_BACKSPACE:
        *ret = PST_LIVE_KEY_BACKSPACE;
        return true;
    case KEY_UP:
        *ret = PST_LIVE_KEY_UP;
        return true;
    case KEY_DOWN:
        *ret = PST_LIVE_KEY_DOWN;
        return true;
    case KEY_PPAGE:
        *ret = PST_LIVE_KEY_PAGE_UP;
        return true;
    case KEY_NPAGE:
        *ret = PST_LIVE_KEY_PAGE_DOWN;
        return true;
    default:
        return false;
    }
}

static uint32_t character(wint_t c)
{
    switch (c) {
    case '\r':
    case '\n':
        return PST_LIVE_KEY_ENTER;
    case 27:
        return PST_LIVE_KEY_ESCAPE;
    case 8:
    case 127:
        return PST_LIVE_KEY_BACKSPACE;
    default:
        return (uint32_t)c;
    }
}

bool pst_screen_key(struct pst_screen *screen, uint32_t *ret_key, bool *ret_resized)
{
    wint_t c;
    int kind;

    for (;;) {
        kind = get_wch(&c);
        if (kind == ERR)
            return false;
        if (kind == KEY_CODE_YES && c == KEY_RESIZE) {
            *ret_resized = true;
            continue;
        }
        if (kind == OK) {
            *ret_key = character(c);
            return true;
        }
        if (special((int)c, ret_key))
            return true;
    }
}

/* --- drawing --- */

/* Text that fits between the column and the right edge. */
static void put(int row, int column, struct pst_str text)
{
    if (row < 0 || row >= LINES || column >= COLS)
        return;
    text = pst_text_head(text, (size_t)(COLS - column));
    (void)mvaddnstr(row, column, text.ptr, (int)text.len);
}

static void put_words(int row, int column, const char *text)
{
    put(row, column, pst_str(text));
}

static void put_gauge(const struct pst_screen *screen, int row, const char *name,
                      const struct pst_live_gauge *gauge)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {" ", ".", ".", ":", ":", "-", "=", "+", "#"};
    enum { FROM = 17 };
    char text[64];
    double most = 1; /* one thread the whole time */
    size_t room = COLS > FROM ? (size_t)(COLS - FROM) : 0;
    size_t first = gauge->count > room ? gauge->count - room : 0;

    (void)snprintf(text, sizeof(text), "%-7s%7.1f%%", name, 100 * gauge->last);
    put_words(row, 0, text);
    for (size_t i = first; i < gauge->count; i++)
        most = gauge->history[i] > most ? gauge->history[i] : most;
    for (size_t i = first; i < gauge->count; i++) {
        long level = lround(ceil(8 * gauge->history[i] / most - 0.05));

        level = level < 0 ? 0 : level > 8 ? 8 : level;
        put_words(row, FROM + (int)(i - first), screen->utf8 ? blocks[level] : plain[level]);
    }
}

static void put_titles(const struct pst_live_view *view)
{
    static const char *const titles[] = {"%Own", "%Total", "OwnTime", "TotalTime"};
    static const char *const rows[] = {"Function (file)", "Function (file:line)", "Thread",
                                       "Process"};
    static const int ends[] = {8, 17, 27, 38};
    int row = HEAD_ROWS - 1;

    (void)attron(A_REVERSE);
    (void)mvhline(row, 0, ' ', COLS);
    for (int i = 0; i < 4; i++) {
        bool sorted = (int)view->sort == i;
        char text[24];

        (void)snprintf(text, sizeof(text), "%s%s", titles[i], sorted ? "*" : " ");
        put_words(row, ends[i] - (int)strlen(text), text);
    }
    put_words(row, NUMBER_COLUMNS + 1, rows[view->rows]);
    (void)attroff(A_REVERSE);
}

static void put_row(int row, const struct pst_live_row *one)
{
    char text[96];

    (void)snprintf(text, sizeof(text), "%6.2f%%  %6.2f%%  %7.2fs  %8.2fs", 100 * one->own,
                   100 * one->total, (double)one->own_ns / 1e9, (double)one->total_ns / 1e9);
    put_words(row, 0, text);
    put(row, NUMBER_COLUMNS + 1, one->text);
}

static void put_table(const struct pst_screen *screen, const struct pst_live *live,
                      struct pst_live_view *view)
{
    struct pst_live_query query = {view->rows, view->sort, pst_str(view->filter)};
    struct pst_live_table *table = NULL;
    size_t page = pst_screen_page(screen);

    put_titles(view);
    if (pst_live_table_new(live, &query, &table) < 0)
        return;
    if (view->first >= table->count)
        view->first = table->count ? table->count - 1 : 0;
    view->can_scroll = view->first + page < table->count;
    for (size_t i = 0; i < page && view->first + i < table->count; i++)
        put_row(HEAD_ROWS + (int)i, &table->rows[view->first + i]);
    if (table->count == 0)
        put_words(HEAD_ROWS, NUMBER_COLUMNS + 1,
                  view->filter[0] ? "nothing holds that text" : "nothing yet");
    pst_live_table_free(table);
}

static void put_foot(const struct pst_live_view *view)
{
    char text[PST_LIVE_FILTER_BYTES + 64];

    if (view->typing)
        (void)snprintf(text, sizeof(text), "filter: %s_  (Enter keeps it, Esc clears it)",
                       view->filter);
    else if (view->filter[0])
        (void)snprintf(text, sizeof(text), "filter: %s  (Esc clears it)  ? help  q quit",
                       view->filter);
    else
        (void)snprintf(text, sizeof(text), "%s",
                       "1-4 sort  L lines  t threads  p processes  / filter  space pause  R reset  "
                       "? help  q quit");
    put_words(LINES - 1, 0, text);
}

static void put_help(void)
{
    for (int i = 0; pst_live_help[i]; i++)
        put_words(i, 0, pst_live_help[i]);
}

void pst_screen_draw(struct pst_screen *screen, const struct pst_live *live,
                     struct pst_live_view *view, const struct pst_screen_text *text)
{
    struct pst_live_state state;

    (void)erase();
    if (view->help) {
        put_help();
        (void)refresh();
        return;
    }
    pst_live_state(live, &state);
    (void)attron(A_BOLD);
    put_words(0, 0, text->title);
    put_words(2, 0, text->notice);
    (void)attroff(A_BOLD);
    put_words(1, 0, text->status);
    if (text->no_gil)
        put_words(3, 0, "GIL     none: a free-threaded Python");
    else
        put_gauge(screen, 3, "GIL", &state.gil);
    put_gauge(screen, 4, "Active", &state.active);
    put_table(screen, live, view);
    put_foot(view);
    (void)refresh();
}
