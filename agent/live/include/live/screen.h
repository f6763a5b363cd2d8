/* The terminal of `top`. The only user of ncurses. Between new and free the terminal is ours; free
 * gives it back as it was. One per process, one thread. */
#ifndef PST_LIVE_SCREEN_H
#define PST_LIVE_SCREEN_H

#include "live/model.h"
#include "live/view.h"

struct pst_screen;

/* NULL when the terminal cannot do it (TERM unknown) or memory is out. */
struct pst_screen *pst_screen_new(void);
struct pst_screen *pst_screen_free(struct pst_screen *screen);

struct pst_screen_text {
    const char *title;  /* whom we look at */
    const char *status; /* rate, length, processes, threads */
    const char *notice; /* idle, ended, paused, ...; empty: nothing to say */
    bool no_gil;        /* free-threaded: there is no such gauge */
};

/* Draws everything; sets view->can_scroll and mends view->first. */
void pst_screen_draw(struct pst_screen *screen, const struct pst_live *live,
                     struct pst_live_view *view, const struct pst_screen_text *text);
/* The next key as pst_live_view_key takes it; false: none is there. *ret_resized: the terminal has
 * another size. Does not wait. */
bool pst_screen_key(struct pst_screen *screen, uint32_t *ret_key, bool *ret_resized);
/* Rows of the table that fit. */
size_t pst_screen_page(const struct pst_screen *screen);

#endif
