/* What a recording's file is called when nobody says so, and what opens it. */
#ifndef PST_COMMANDS_RECORD_NAME_H
#define PST_COMMANDS_RECORD_NAME_H

#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "render/format.h"

/* BASENAME-PID-YYYYMMDDTHHMMSS.EXT of this program, local time. malloc'ed; NULL when out of
 * memory. */
char *pst_record_name(struct pst_str program, pid_t pid, int64_t now_s, enum pst_format format);

/* "open it in a browser" */
const char *pst_record_how_to_open(enum pst_format format);

#endif
