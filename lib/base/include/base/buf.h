/* Growable byte buffer with a maximum: none exists without its bound. */
#ifndef PST_BASE_BUF_H
#define PST_BASE_BUF_H

#include "base/str.h"

struct pst_buf {
    char *data; /* NUL-terminated behind len whenever not NULL */
    size_t len;
    size_t cap;
    size_t max; /* len never exceeds this */
};

void pst_buf_init(struct pst_buf *buf, size_t max_bytes);
void pst_buf_done(struct pst_buf *buf);
void pst_buf_reset(struct pst_buf *buf); /* keeps the memory */

/* 0, -ENOMEM, or -EFBIG past the maximum; on failure the content is unchanged. */
int pst_buf_reserve(struct pst_buf *buf, size_t more_bytes);
int pst_buf_append(struct pst_buf *buf, const void *data, size_t len);
int pst_buf_str(struct pst_buf *buf, struct pst_str text);
int pst_buf_puts(struct pst_buf *buf, const char *text);
int pst_buf_printf(struct pst_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Valid UTF-8 out of any bytes: bad ones become U+FFFD. */
int pst_buf_utf8(struct pst_buf *buf, struct pst_str text);
/* For terminals and logs: control characters and bad UTF-8 as \xNN, marks that reorder or hide text
 * as \uNNNN, backslash and quote escaped. */
int pst_buf_escaped(struct pst_buf *buf, struct pst_str text);

static inline struct pst_str pst_buf_view(const struct pst_buf *buf)
{
    return (struct pst_str){buf->data ? buf->data : "", buf->len};
}
/* The malloc'ed content (never NULL unless out of memory); the buffer is empty afterwards. */
char *pst_buf_steal(struct pst_buf *buf, size_t *ret_len);

#endif
