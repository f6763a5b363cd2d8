/* Errors as a person reads them: one line, what, where, what to do. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>

#include "base/buf.h"

static void copy(char *dst, size_t size, const char *text)
{
    (void)snprintf(dst, size, "%s", text ? text : "");
}

int pst_error_set(struct pst_error *error, enum pst_exit code, const char *where,
                  const char *remedy, const char *format, ...)
{
    if (error) {
        error->code = (int)code;
        copy(error->where, sizeof(error->where), where);
        copy(error->remedy, sizeof(error->remedy), remedy);
        va_list args;
        va_start(args, format);
        (void)vsnprintf(error->text, sizeof(error->text), format, args);
        va_end(args);
    }
    return code == PST_EXIT_USAGE ? -EINVAL : code == PST_EXIT_DENIED ? -EPERM : -EIO;
}

static void append_plain(struct pst_buf *line, const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            (void)pst_buf_printf(line, "\\x%02x", (unsigned char)*text);
        else
            (void)pst_buf_append(line, text, 1);
}

void pst_error_print(FILE *out, const struct pst_error *error)
{
    struct pst_buf line;
    pst_buf_init(&line, 8192);
    (void)pst_buf_puts(&line, "pystrobe: ");
    if (error->where[0]) {
        append_plain(&line, error->where);
        (void)pst_buf_puts(&line, ": ");
    }
    append_plain(&line, error->text);
    if (error->remedy[0]) {
        (void)pst_buf_puts(&line, "; ");
        append_plain(&line, error->remedy);
    }
    (void)fprintf(out, "%s\n", line.data ? line.data : "pystrobe: out of memory");
    pst_buf_done(&line);
}
