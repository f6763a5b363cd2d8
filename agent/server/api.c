/* /api/: what the page shows, as JSON: services, time line, functions. Ranges are last= or from=
 * and to= (Unix seconds); values are nanoseconds. For the page; scripts have /metrics and pprof. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cache.h"
#include "render/frame.h"
#include "render/top.h"

static int add_service(void *context, const struct pst_store_service *service)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "service", pst_json_str(service->name));
    (void)json_object_set_new(object, "mode", json_string(pst_mode_word(service->mode)));
    (void)json_object_set_new(object, "windows", json_integer((json_int_t)service->windows));
    (void)json_object_set_new(object, "samples", json_integer(service->samples));
    (void)json_object_set_new(object, "value_ns", json_integer(service->value_ns));
    (void)json_object_set_new(object, "first_ns", json_integer(service->first_ns));
    (void)json_object_set_new(object, "last_ns", json_integer(service->last_ns));
    return json_array_append_new(context, object) == 0 ? 0 : -ENOMEM;
}

static json_t *range_json(const struct pst_range *range)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "from_ns", json_integer(range->from_ns));
    (void)json_object_set_new(object, "to_ns", json_integer(range->to_ns));
    return object;
}

void pst_serve_services(struct pst_request *request, struct pst_answer *answer)
{
    struct pst_range range;
    if (!pst_request_range(request, &range, answer))
        return;
    json_t *root = range_json(&range), *list = json_array();
    int r = request->server->store ? pst_store_services(request->server->store, range.from_ns,
                                                        range.to_ns, add_service, list)
                                   : -ENODEV;
    (void)json_object_set_new(root, "services", list);
    if (r == 0) {
        pst_answer_json(answer, MHD_HTTP_OK, root);
        return;
    }
    json_decref(root);
    pst_answer_store_error(answer, r);
}

void pst_serve_timeline(struct pst_request *request, struct pst_answer *answer)
{
    struct pst_range range;
    uint64_t count = 120;
    struct pst_str buckets = pst_request_argument(request, "buckets");
    if (!pst_request_range(request, &range, answer))
        return;
    if (buckets.len > 0 &&
        (pst_str_u64(buckets, 10, PST_MAX_HTTP_BUCKETS, &count) < 0 || count == 0)) {
        pst_answer_text(answer, MHD_HTTP_BAD_REQUEST, "buckets: 1 to %d", PST_MAX_HTTP_BUCKETS);
        return;
    }
    pst_autofree double *values = calloc(count, sizeof(*values));
    int r = !values ? -ENOMEM
            : request->server->store
                ? pst_store_timeline(request->server->store, range.service, range.mode,
                                     range.from_ns, range.to_ns, count, values)
                : -ENODEV;
    if (r < 0) {
        pst_answer_store_error(answer, r);
        return;
    }
    json_t *root = range_json(&range), *list = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, json_integer((json_int_t)values[i]));
    (void)json_object_set_new(root, "value_ns", list);
    pst_answer_json(answer, MHD_HTTP_OK, root);
}

static json_t *function_json(const struct pst_top_row *row)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "name", pst_json_str(row->name));
    (void)json_object_set_new(object, "file", pst_json_str(row->file));
    (void)json_object_set_new(object, "short_file", pst_json_str(pst_frame_short_file(row->file)));
    (void)json_object_set_new(object, "line", json_integer(row->start_line));
    (void)json_object_set_new(object, "hot_line", json_integer(row->hot_line));
    (void)json_object_set_new(object, "self_ns", json_integer(row->self_ns));
    (void)json_object_set_new(object, "total_ns", json_integer(row->total_ns));
    return object;
}

static json_t *top_json(const struct pst_range *range, const struct pst_merged *merged,
                        const struct pst_top *top, size_t rows)
{
    const struct pst_store_query_result *result = &merged->result;
    json_t *root = range_json(range), *list = json_array();
    for (size_t i = 0; i < top->count && i < rows; i++)
        (void)json_array_append_new(list, function_json(&top->rows[i]));
    (void)json_object_set_new(root, "mode", json_string(pst_mode_word(range->mode)));
    (void)json_object_set_new(root, "total_ns", json_integer(top->total_ns));
    (void)json_object_set_new(root, "samples", json_integer(top->total_samples));
    (void)json_object_set_new(root, "function_count", json_integer((json_int_t)top->count));
    (void)json_object_set_new(root, "windows", json_integer((json_int_t)result->windows));
    (void)json_object_set_new(root, "bad_windows", json_integer((json_int_t)result->bad_windows));
    (void)json_object_set_new(root, "truncated", json_boolean(result->truncated));
    (void)json_object_set_new(root, "first_ns", json_integer(result->first_ns));
    (void)json_object_set_new(root, "last_ns", json_integer(result->last_ns));
    (void)json_object_set_new(root, "functions", list);
    return root;
}

void pst_serve_top(struct pst_request *request, struct pst_answer *answer)
{
    struct pst_range range;
    uint64_t rows = 200;
    struct pst_str wanted = pst_request_argument(request, "rows");
    if (!pst_request_range(request, &range, answer))
        return;
    if (wanted.len > 0 && pst_str_u64(wanted, 10, PST_MAX_HTTP_TOP_ROWS, &rows) < 0) {
        pst_answer_text(answer, MHD_HTTP_BAD_REQUEST, "rows: at most %d", PST_MAX_HTTP_TOP_ROWS);
        return;
    }
    struct pst_merged *merged = NULL;
    struct pst_top *top = NULL;
    int r = pst_cache_merge(request->server, &range, &merged);
    if (r == 0)
        r = pst_top_new(merged->profile, &top);
    if (r == 0)
        pst_answer_json(answer, MHD_HTTP_OK, top_json(&range, merged, top, rows));
    else
        pst_answer_store_error(answer, r);
    pst_top_free(top);
    pst_merged_unref(merged);
}
