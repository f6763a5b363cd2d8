/* ${env:NAME} and ${file:PATH} inside values. Anything else that starts with ${ stays as it is:
 * templates and replacements use it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/io.h"
#include "base/limits.h"
#include "internal.h"

static int expand_env(struct pst_load *load, struct pst_place place, struct pst_str name,
                      struct pst_buf *out)
{
    char key[256];
    const char *value;

    (void)snprintf(key, sizeof key, "%.*s", (int)(name.len < 250 ? name.len : 250), name.ptr);
    value = pst_load_env(load, key);
    if (!value)
        return pst_load_refuse(load, place, "set it, or write the value itself",
                               "the environment variable %s is not set", key);
    if (pst_utf8_valid_prefix(pst_str(value)) != strlen(value))
        return pst_load_refuse(load, place, NULL, "the environment variable %s is not UTF-8", key);
    if (pst_buf_puts(out, value) < 0)
        return pst_load_refuse(load, place, NULL, "the value is too long");
    return 0;
}

static int expand_file(struct pst_load *load, struct pst_place place, struct pst_str path,
                       struct pst_buf *out)
{
    char *copy = pst_load_copy(load, path);
    size_t before = out->len;
    int rc;

    if (!copy)
        return pst_load_out_of_memory(load, place);
    rc = pst_load_add(load, &load->snapshot->config.files, PST_MAX_CONFIG_WATCHES, path);
    if (rc < 0)
        return pst_load_refuse(load, place, NULL, "too many files");
    rc = pst_io_read_file(AT_FDCWD, copy, out, false);
    if (rc < 0)
        return pst_load_refuse(load, place, "mount it, or correct the path", "cannot read %s: %s",
                               copy, strerror(-rc));
    while (out->len > before &&
           (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->data[--out->len] = 0;
    if (memchr(out->data + before, 0, out->len - before) ||
        pst_utf8_valid_prefix((struct pst_str){out->data + before, out->len - before}) !=
            out->len - before)
        return pst_load_refuse(load, place, NULL, "%s is not UTF-8 text", copy);
    return 0;
}

/* rest starts behind "${"; takes one reference up to its brace. False: it is none of ours. */
static bool take_reference(struct pst_str *rest, const char *scheme, struct pst_str *ret_argument)
{
    struct pst_str prefix = pst_str(scheme);
    size_t end = pst_str_find(*rest, '}');

    if (end == rest->len || !pst_str_starts(*rest, prefix))
        return false;
    *ret_argument = (struct pst_str){rest->ptr + prefix.len, end - prefix.len};
    *rest = (struct pst_str){rest->ptr + end + 1, rest->len - end - 1};
    return true;
}

static int expand_all(struct pst_load *load, struct pst_place place, struct pst_str text,
                      struct pst_buf *out, bool *ret_expanded)
{
    *ret_expanded = false;
    while (text.len > 0) {
        struct pst_str argument;
        int rc;

        if (pst_str_starts(text, PST_STR("$${"))) {
            rc = pst_buf_puts(out, "${");
            text = (struct pst_str){text.ptr + 3, text.len - 3};
        } else if (pst_str_starts(text, PST_STR("${"))) {
            struct pst_str rest = {text.ptr + 2, text.len - 2};
            bool env = take_reference(&rest, "env:", &argument);
            if (!env && !take_reference(&rest, "file:", &argument)) {
                rc = pst_buf_puts(out, "${");
                text = rest;
            } else {
                *ret_expanded = true;
                rc = env ? expand_env(load, place, argument, out)
                         : expand_file(load, place, argument, out);
                if (rc < 0)
                    return rc;
                text = rest;
            }
        } else {
            rc = pst_buf_append(out, text.ptr, 1);
            text = (struct pst_str){text.ptr + 1, text.len - 1};
        }
        if (rc < 0)
            return pst_load_refuse(load, place, NULL, "the value is too long");
    }
    return 0;
}

int pst_expand(struct pst_load *load, struct pst_place place, struct pst_str text, bool lenient,
               struct pst_str *ret, bool *ret_expanded)
{
    struct pst_error *error = load->error;
    struct pst_buf out;
    bool expanded = false;
    char *copy;
    int rc;

    if (pst_str_find(text, '$') == text.len) { /* almost every value */
        rc = 0;
        copy = pst_load_copy(load, text);
    } else {
        pst_buf_init(&out, PST_MAX_CONFIG_VALUE_BYTES);
        load->error = lenient ? NULL : error;
        rc = expand_all(load, place, text, &out, &expanded);
        load->error = error;
        if (rc < 0 && lenient) {
            pst_buf_reset(&out);
            rc = 0;
        }
        copy = rc == 0 ? pst_load_copy(load, pst_buf_view(&out)) : NULL;
        text.len = out.len;
        pst_buf_done(&out);
    }
    if (rc < 0)
        return rc;
    if (!copy)
        return pst_load_out_of_memory(load, place);
    *ret = (struct pst_str){copy, text.len};
    if (ret_expanded)
        *ret_expanded = expanded;
    return 0;
}
