/* /api/flamegraph.svg and /api/profile.pb.gz: one merged profile as a picture or as a file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "cache.h"
#include "profile/pprof.h"
#include "render/svg.h"

/* Letters that are safe in a header and in a file name anywhere. */
static void file_name(char *out, size_t size, const struct pst_range *range, const char *ending)
{
    char service[64];
    size_t len =
        range->service.len < sizeof(service) - 1 ? range->service.len : sizeof(service) - 1;
    for (size_t i = 0; i < len; i++) {
        char c = range->service.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        service[i] = c;
        if (!plain && c != '-' && c != '_')
            service[i] = '_';
    }
    service[len] = '\0';
    (void)snprintf(out, size, "attachment; filename=\"%s-%s-%lld%s\"", len ? service : "all",
                   pst_mode_word(range->mode), (long long)(range->from_ns / (int64_t)PST_NS_PER_S),
                   ending);
}

static int draw(const struct pst_profile *profile, const struct pst_svg_options *svg,
                struct pst_buf *out)
{
    struct pst_tree_options options = {.weight = PST_WEIGHT_TIME};
    struct pst_tree *tree = pst_tree_new(&options);
    int r = tree ? 0 : -ENOMEM;
    if (r == 0 && profile)
        r = pst_tree_add(tree, profile, 0);
    if (r == 0)
        r = pst_tree_finish(tree);
    if (r == 0)
        r = pst_svg_write(tree, svg, out);
    pst_tree_free(tree);
    return r;
}

/* The hash is taken from an empty picture, before any text of a target is near. */
int pst_picture_policy(char *policy, size_t size)
{
    static const char open[] = "<script><![CDATA[", close[] = "]]></script>";
    struct pst_svg_options svg = {.flame = false};
    struct pst_buf picture;
    pst_buf_init(&picture, 1 << 20);
    int r = draw(NULL, &svg, &picture);
    const char *from = r == 0 ? strstr(picture.data, open) : NULL;
    const char *to = from ? strstr(from, close) : NULL;
    unsigned char hash[32], text[64] = "";
    unsigned hash_bytes = 0;
    if (to) {
        from += sizeof(open) - 1;
        if (EVP_Digest(from, (size_t)(to - from), hash, &hash_bytes, EVP_sha256(), NULL) == 1)
            (void)EVP_EncodeBlock(text, hash, (int)sizeof(hash));
    }
    pst_buf_done(&picture);
    (void)snprintf(policy, size,
                   "default-src 'none'; script-src 'sha256-%s'; style-src 'unsafe-inline'; "
                   "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
                   (const char *)text);
    return hash_bytes == sizeof(hash) ? 0 : -EIO;
}

static int draw_range(const struct pst_merged *merged, const struct pst_range *range,
                      struct pst_request *request, struct pst_answer *answer)
{
    char title[256], subtitle[160];
    int64_t samples, value_ns;
    pst_profile_total(merged->profile, &samples, &value_ns);
    (void)snprintf(
        title, sizeof(title), "%.*s, %s", range->service.len ? (int)range->service.len : 12,
        range->service.len ? range->service.ptr : "all services", pst_mode_word(range->mode));
    (void)snprintf(subtitle, sizeof(subtitle), "%.1f s of %s time, %lld samples in %llu windows%s",
                   (double)value_ns / 1e9, pst_mode_word(range->mode), (long long)samples,
                   (unsigned long long)merged->result.windows,
                   merged->result.truncated ? ", cut: the range holds more than fits" : "");
    struct pst_svg_options svg = {
        .title = title,
        .subtitle = subtitle,
        .flame = pst_str_eq(pst_request_argument(request, "orientation"), PST_STR("flame"))};
    return draw(merged->profile, &svg, &answer->body);
}

/* Each takes what a merged profile may take and more, so that as many at once as there may be
 * connections would be many times the agent's memory. */
static int begin_large(struct pst_server *server)
{
    (void)pthread_mutex_lock(&server->large);
    if (!pst_server_stopping(server))
        return 0;
    (void)pthread_mutex_unlock(&server->large);
    return -ECANCELED;
}

static void end_large(struct pst_server *server)
{
    (void)pthread_mutex_unlock(&server->large);
}

void pst_serve_flamegraph(struct pst_request *request, struct pst_answer *answer)
{
    struct pst_range range;
    struct pst_merged *merged = NULL;
    if (!pst_request_range(request, &range, answer))
        return;
    int r = pst_cache_merge(request->server, &range, &merged);
    if (r < 0) {
        pst_answer_store_error(answer, r);
        return;
    }
    r = begin_large(request->server);
    if (r == 0) {
        r = draw_range(merged, &range, request, answer);
        end_large(request->server);
    }
    pst_merged_unref(merged);
    if (r == -ECANCELED) {
        pst_answer_store_error(answer, r);
        return;
    }
    if (r < 0) {
        pst_answer_text(answer, MHD_HTTP_INTERNAL_SERVER_ERROR,
                        "the flame graph is too large: choose a shorter range or one service");
        return;
    }
    answer->type = "image/svg+xml; charset=utf-8";
    answer->policy = PST_POLICY_PICTURE;
    answer->picture_policy = request->server->picture_policy;
    if (pst_request_argument(request, "download").len > 0)
        file_name(answer->disposition, sizeof(answer->disposition), &range, ".svg");
}

static int merge_for_download(struct pst_server *server, const struct pst_range *range,
                              struct pst_profile **ret)
{
    struct pst_store_query query = {.service = range->service,
                                    .mode = range->mode,
                                    .from_ns = range->from_ns,
                                    .to_ns = range->to_ns};
    return server->store
               ? pst_store_merge(server->store, &query, pst_server_stopping, server, ret, NULL)
               : -ENODEV;
}

static void make_download(struct pst_server *server, const struct pst_range *range,
                          struct pst_answer *answer)
{
    struct pst_profile *profile = NULL;
    int r = merge_for_download(server, range, &profile);
    if (r < 0) {
        pst_answer_store_error(answer, r);
        return;
    }
    r = pst_pprof_encode(profile, true, &answer->body);
    pst_profile_free(profile);
    if (r < 0) {
        pst_answer_text(answer, MHD_HTTP_INTERNAL_SERVER_ERROR, "the profile is too large");
        return;
    }
    answer->type = "application/octet-stream";
    file_name(answer->disposition, sizeof(answer->disposition), range, ".pb.gz");
}

/* With every sample label, so not the cached one. */
void pst_serve_download(struct pst_request *request, struct pst_answer *answer)
{
    struct pst_range range;
    if (!pst_request_range(request, &range, answer))
        return;
    int r = begin_large(request->server);
    if (r < 0) {
        pst_answer_store_error(answer, r);
        return;
    }
    make_download(request->server, &range, answer);
    end_large(request->server);
}
