/* Writing text until the first error, which is asked for once at the end: for any writer that has
 * `out`, a struct pst_buf *, and `error`, an int. */
#ifndef PST_RENDER_PUT_H
#define PST_RENDER_PUT_H

#include "base/buf.h"

#define put_by(w, call)                                                                            \
    do {                                                                                           \
        if ((w)->error == 0)                                                                       \
            (w)->error = (call);                                                                   \
    } while (0)

#define put(w, text)  put_by(w, pst_buf_puts((w)->out, text))
#define putf(w, ...)  put_by(w, pst_buf_printf((w)->out, __VA_ARGS__))
#define put_xml(w, t) put_by(w, pst_text_xml((w)->out, t))

#endif
