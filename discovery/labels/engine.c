/* JSON over HTTP, and names of labels, as all sources of metadata need them. */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "label_source.h"

void pst_engines_done(struct pst_engines *engines)
{
    for (size_t i = 0; i < PST_ENGINE_COUNT; i++)
        engines->of[i] = pst_meta_unref(engines->of[i]);
}

/* About what the library takes for a document, by what it is made of; rather more than less. */
static size_t tree_bytes(struct pst_str text)
{
    enum { OBJECT = 224, ARRAY = 128, PAIR = 80, VALUE = 48, STRING = 56 };
    size_t bytes = text.len;
    bool quoted = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"') {
            quoted = !quoted;
            bytes += quoted ? STRING : 0;
        } else if (quoted)
            i += c == '\\';
        else
            bytes += c == '{' ? OBJECT : c == '[' ? ARRAY : c == ':' ? PAIR : c == ',' ? VALUE : 0;
    }
    return bytes;
}

const char *pst_engine_socket(const char *setting, const char *const *usual)
{
    if (strcmp(setting, "off") == 0)
        return NULL;
    if (strcmp(setting, "auto") != 0)
        return setting;
    while (*usual && access(*usual, R_OK | W_OK) < 0)
        usual++;
    return *usual;
}

void pst_engine_socket_url(const char *path, char *dst, size_t size)
{
    (void)snprintf(dst, size, "%s%s", strncmp(path, "unix:", 5) == 0 ? "" : "unix:", path);
}

void pst_engine_bracketed_url(const char *url, char *dst, size_t size)
{
    const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url;
    size_t authority = strcspn(host, "/?#");
    const char *first = memchr(host, ':', authority), *last = memrchr(host, ':', authority);

    if (!first || first == last || memchr(host, '[', authority) || memchr(host, '@', authority))
        (void)snprintf(dst, size, "%s", url);
    else
        (void)snprintf(dst, size, "%.*s[%.*s]%s", (int)(host - url), url, (int)(last - host), host,
                       last);
}

json_t *pst_json_parse(struct pst_str text, struct pst_buf *why)
{
    json_error_t error;

    if (tree_bytes(text) > PST_MAX_METADATA_TREE_BYTES) {
        (void)pst_buf_printf(why, "the answer would take more than %d bytes once parsed",
                             PST_MAX_METADATA_TREE_BYTES);
        return NULL;
    }
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (root && json_is_object(root))
        return root;
    json_decref(root);
    (void)pst_buf_puts(why, "the answer is no whole JSON document");
    return NULL;
}

static json_t *take(const struct pst_http_reply *reply, struct pst_buf *why)
{
    if (reply->failure)
        (void)pst_buf_printf(why, "%s: %s", reply->failure, reply->detail);
    else if (reply->truncated)
        (void)pst_buf_printf(why, "the answer is larger than %d bytes", PST_MAX_METADATA_BYTES);
    else if (reply->status != 200)
        (void)pst_buf_printf(why, "status %d%s", reply->status,
                             reply->status == 401   ? ": the token is missing or expired"
                             : reply->status == 403 ? ": the service account may not"
                                                    : "");
    else
        return pst_json_parse(pst_buf_view(&reply->body), why);
    return NULL;
}

json_t *pst_engine_get_json(const struct pst_net_settings *settings, struct pst_cancel *cancel,
                            const char *path, int *ret_status, struct pst_buf *why)
{
    struct pst_http_request request = {.path = path, .max_reply_bytes = PST_MAX_METADATA_BYTES};
    struct pst_http_reply reply;
    struct pst_http *http = NULL;
    struct pst_error error = {0};
    json_t *root = NULL;

    *ret_status = 0;
    if (pst_http_new(settings, cancel, &http, &error) < 0) {
        (void)pst_buf_puts(why, error.text[0] ? error.text : "out of memory");
        return NULL;
    }
    pst_http_reply_init(&reply);
    pst_http_send(http, &request, &reply);
    *ret_status = reply.status;
    root = take(&reply, why);
    pst_http_reply_done(&reply);
    pst_http_free(http);
    return root;
}

struct pst_str pst_json_view(const json_t *value)
{
    return json_is_string(value)
               ? (struct pst_str){json_string_value(value), json_string_length(value)}
               : (struct pst_str){"", 0};
}

struct pst_str pst_json_member(const json_t *object, const char *key)
{
    return pst_json_view(json_object_get(object, key));
}

void pst_engine_label_name(const char *prefix, struct pst_str key, char *dst, size_t size)
{
    (void)snprintf(dst, size, "%s", prefix);
    pst_label_name_append(dst, size, key);
}

int pst_engine_set_map(struct pst_meta *meta, const char *prefix, const char *present,
                       const json_t *map)
{
    enum { NAME_BYTES = 512 };
    char name[NAME_BYTES];
    const char *key;
    json_t *value;
    int status = 0;

    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        pst_engine_label_name(prefix, pst_str(key), name, sizeof(name));
        status = pst_meta_set(meta, pst_str(name), pst_json_view(value));
        if (status == 0 && present) {
            pst_engine_label_name(present, pst_str(key), name, sizeof(name));
            status = pst_meta_set(meta, pst_str(name), PST_STR("true"));
        }
        if (status == -ENOMEM)
            return status;
    }
    return 0;
}
