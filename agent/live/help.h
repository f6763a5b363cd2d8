/* What `?` explains, a line each, closed by NULL. */
#ifndef PST_LIVE_HELP_H
#define PST_LIVE_HELP_H

extern const char *const pst_live_help[];

#endif
