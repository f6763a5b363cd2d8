/* C++ and Rust by libiberty, Cython's own scheme here. */
#include "readable.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>

#include "base/limits.h"

enum { SYMBOL_BYTES = 4096 };

static const char ellipsis[] = "…";

struct output {
    struct pst_buf *buf;
    jmp_buf full;
};

/* libiberty prints for as long as a symbol asks for, which can be for ever, and offers no way to
 * end it. While it prints it holds no memory but its stack. */
static void put(const char *text, size_t len, void *context)
{
    struct output *output = context;
    size_t room = output->buf->max - output->buf->len;

    if (pst_buf_append(output->buf, text, len < room ? len : room) < 0 || len > room)
        longjmp(output->full, 1);
}

/* What was printed until it was full, between two characters. */
static bool cut(struct pst_buf *out)
{
    size_t len = out->max - strlen(ellipsis);

    if (out->len < len)
        return false; /* out of memory */
    while (len > 0 && ((unsigned char)out->data[len] & 0xc0) == 0x80)
        len--;
    out->len = len;
    return pst_buf_puts(out, ellipsis) == 0;
}

bool pst_demangle(const char *symbol, struct pst_buf *out)
{
    struct output output = {.buf = out};
    bool rust = symbol[0] == '_' && symbol[1] == 'R';

    if (symbol[0] != '_' || (!rust && symbol[1] != 'Z') ||
        strnlen(symbol, SYMBOL_BYTES) == SYMBOL_BYTES)
        return false;
    pst_buf_reset(out);
    out->max = PST_MAX_DEMANGLED_BYTES;
    if (setjmp(output.full) != 0)
        return cut(out);
    if (rust_demangle_callback(symbol, 0, put, &output))
        return out->len > 0;
    pst_buf_reset(out);
    return !rust && cplus_demangle_v3_callback(symbol, DMGL_PARAMS | DMGL_ANSI, put, &output) &&
           out->len > 0;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static struct pst_str from(struct pst_str text, size_t at)
{
    return (struct pst_str){text.ptr + at, text.len - at};
}

static size_t number(struct pst_str text, size_t *ret_digits)
{
    size_t value = 0, at = 0;

    for (; at < text.len && at < 6 && is_digit(text.ptr[at]); at++)
        value = value * 10 + (size_t)(text.ptr[at] - '0');
    *ret_digits = at;
    return value;
}

enum form { PLAIN, WRAPPER, BODY };

/* Modules and classes come first, each as its length and its name with an underscore behind it.
 * What Python can call may carry a number before its own name, which reads like a length: a wrapper
 * always has one, and it is odd; a body has an even one, or none. */
static struct pst_str without_scopes(struct pst_str text, enum form form)
{
    for (bool first = true;; first = false) {
        size_t digits, len = number(text, &digits), end = digits + len;
        if (digits == 0 || len == 0 || end + 1 >= text.len || text.ptr[end] != '_')
            return text;
        bool scope =
            first || form == PLAIN || is_digit(text.ptr[end + 1]) || (form == BODY && len % 2 == 1);
        if (!scope)
            return text;
        text = from(text, end + 1);
    }
}

/* "__pyx_fuse_0_1" in front names the types that a fused function was made for. */
static struct pst_str without_fuse(struct pst_str symbol)
{
    if (!pst_str_starts(symbol, PST_STR("__pyx_fuse_")))
        return symbol;
    for (size_t i = sizeof("__pyx_fuse_") - 1; i + 6 < symbol.len; i++)
        if (memcmp(symbol.ptr + i, "__pyx_", 6) == 0)
            return from(symbol, i);
    return symbol;
}

bool pst_cython_name(struct pst_str symbol, struct pst_str *ret_name)
{
    static const struct {
        const char *prefix;
        enum form form;
    } forms[] = {
        {"__pyx_pw_", WRAPPER}, {"__pyx_pf_", BODY}, {"__pyx_gb_", BODY}, {"__pyx_f_", PLAIN}};

    symbol = without_fuse(symbol);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!pst_str_starts(symbol, pst_str(forms[i].prefix)))
            continue;
        struct pst_str name = without_scopes(from(symbol, strlen(forms[i].prefix)), forms[i].form);
        size_t digits = 0;
        if (forms[i].form != PLAIN)
            (void)number(name, &digits);
        name = from(name, digits);
        name.len = pst_str_find(name, '.'); /* a compiler's ".isra.0" */
        *ret_name = name;
        return name.len > 0;
    }
    return false;
}

bool pst_cython_wrapper(struct pst_str symbol)
{
    return pst_str_starts(without_fuse(symbol), PST_STR("__pyx_pw_"));
}
