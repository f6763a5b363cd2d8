/* Text of targets inside other languages: XML, JSON, terminals, folded lines. Input is valid UTF-8
 * as profiles hold it; what the language cannot carry becomes U+FFFD or '?'. */
#ifndef PST_RENDER_TEXT_H
#define PST_RENDER_TEXT_H

#include "base/buf.h"

/* All append; 0, -ENOMEM, -EFBIG. */
int pst_text_xml(struct pst_buf *out, struct pst_str text);    /* content and attribute values */
int pst_text_json(struct pst_buf *out, struct pst_str text);   /* with its quotes */
int pst_text_plain(struct pst_buf *out, struct pst_str text);  /* no control or direction marks */
int pst_text_folded(struct pst_buf *out, struct pst_str text); /* no ';', no line breaks */

/* Columns that the text takes in a terminal: wide characters count two, combining ones none. */
size_t pst_text_columns(struct pst_str text);
/* The longest beginning (or end) of at most that many columns, cut between characters. */
struct pst_str pst_text_head(struct pst_str text, size_t columns);
struct pst_str pst_text_tail(struct pst_str text, size_t columns);
/* Takes one character off the front; text must not be empty. */
uint32_t pst_text_next(struct pst_str *text);

/* "1.23 s", "45 ms", "12 µs", "3 h 4 min" */
int pst_text_duration(struct pst_buf *out, int64_t ns);
/* Digits in groups of three. */
int pst_text_count(struct pst_buf *out, int64_t count);

#endif
