/* What somebody who watches has chosen, and what each key changes. Knows no terminal. */
#ifndef PST_LIVE_VIEW_H
#define PST_LIVE_VIEW_H

#include "live/model.h"

enum { PST_LIVE_FILTER_BYTES = 64 };

struct pst_live_view {
    enum pst_live_rows rows;
    enum pst_live_sort sort;
    char filter[PST_LIVE_FILTER_BYTES];
    bool typing; /* the filter */
    bool paused, help;
    bool can_scroll; /* set by who draws: rows are left below */
    size_t first;    /* row at the top */
};

enum pst_live_key { /* besides characters */
                    PST_LIVE_KEY_ENTER = 0x110000,
                    PST_LIVE_KEY_ESCAPE,
                    PST_LIVE_KEY_BACKSPACE,
                    PST_LIVE_KEY_UP,
                    PST_LIVE_KEY_DOWN,
                    PST_LIVE_KEY_PAGE_UP,
                    PST_LIVE_KEY_PAGE_DOWN,
};

enum pst_live_action {
    PST_LIVE_NOTHING,
    PST_LIVE_REDRAW,
    PST_LIVE_RESET, /* the sums */
    PST_LIVE_QUIT
};

/* Own time first, functions. */
void pst_live_view_init(struct pst_live_view *view);
/* key: a Unicode character or enum pst_live_key. page: rows that fit. */
enum pst_live_action pst_live_view_key(struct pst_live_view *view, uint32_t key, size_t page);

#endif
