/* One book per kind of row: texts are interned once, their sums lie beside them. */
#include "live/model.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/intern.h"
#include "base/limits.h"
#include "render/frame.h"
#include "render/owner.h"
#include "render/text.h"

struct sums {
    int64_t last_own, last_total, own, total;
    uint64_t seen; /* number of the last sample that it was counted for */
};

/* A key is the row's text, a NUL, and what tells rows of equal text apart. */
struct book {
    struct pst_intern *keys;
    struct sums *sums; /* by key */
    size_t cap;
};

struct pst_live {
    struct book books[PST_LIVE_ROWS_COUNT];
    unsigned frame_flags;
    struct pst_frame_files files;
    pst_live_command command;
    const void *context;
    uint64_t sample; /* counts all samples ever added */
    int64_t elapsed_ns, last_ns;
    double active[PST_LIVE_HISTORY], gil[PST_LIVE_HISTORY];
    size_t history, next;
    bool full;
    struct pst_buf key;
};

struct pst_live *pst_live_new(unsigned frame_flags, const struct pst_frame_files *files,
                              pst_live_command command, const void *context)
{
    struct pst_live *live = calloc(1, sizeof(*live));
    bool whole = live != NULL;

    if (!live)
        return NULL;
    live->frame_flags = frame_flags;
    if (files)
        live->files = *files;
    live->command = command;
    live->context = context;
    pst_buf_init(&live->key, PST_MAX_LIVE_ROW_BYTES);
    for (int rows = 0; rows < PST_LIVE_ROWS_COUNT; rows++) {
        live->books[rows].keys = pst_intern_new(PST_MAX_LIVE_ROWS, PST_MAX_LIVE_BYTES);
        whole = whole && live->books[rows].keys;
    }
    return whole ? live : pst_live_free(live);
}

struct pst_live *pst_live_free(struct pst_live *live)
{
    if (!live)
        return NULL;
    for (int rows = 0; rows < PST_LIVE_ROWS_COUNT; rows++) {
        pst_intern_free(live->books[rows].keys);
        free(live->books[rows].sums);
    }
    pst_buf_done(&live->key);
    free(live);
    return NULL;
}

/* --- keys --- */

static int put_location(struct pst_live *live, const struct pst_profile *profile, uint32_t location,
                        enum pst_live_rows rows)
{
    const struct pst_function *function;
    struct pst_str file;
    struct pst_buf label;
    uint32_t id;
    int64_t line;
    int rc;

    pst_profile_location_at(profile, location, &id, &line);
    function = pst_profile_function_at(profile, id);
    file = pst_profile_text(profile, function->filename);
    pst_buf_init(&label, PST_MAX_LIVE_ROW_BYTES);
    rc = pst_frame_label(profile, location,
                         live->frame_flags | (rows == PST_LIVE_LINES ? 0u : PST_FRAME_NO_LINES),
                         &live->files, &label);
    if (rc == 0)
        rc = pst_text_plain(&live->key, pst_buf_view(&label));
    if (rc == 0)
        rc = pst_buf_append(&live->key, "", 1);
    if (rc == 0)
        rc = pst_buf_str(&live->key, file);
    if (rc == 0)
        rc = pst_buf_printf(&live->key, ":%lld", (long long)function->start_line);
    pst_buf_done(&label);
    return rc;
}

static int put_thread(struct pst_live *live, const struct pst_owner *owner)
{
    int rc = 0;

    if (owner->tid == 0)
        rc = pst_buf_puts(&live->key, "threads that ended");
    else
        rc = pst_buf_printf(&live->key, "thread (%lld)", (long long)owner->tid);
    if (rc == 0 && owner->name.len)
        rc = pst_buf_puts(&live->key, ": ");
    if (rc == 0)
        rc = pst_text_plain(&live->key, owner->name);
    return rc < 0 ? rc : pst_buf_append(&live->key, "", 1);
}

static int put_process(struct pst_live *live, const struct pst_owner *owner)
{
    struct pst_str command;
    int rc = pst_buf_printf(&live->key, "process %lld", (long long)owner->pid);

    if (rc < 0 || !live->command || !live->command(live->context, owner->pid, &command))
        return rc < 0 ? rc : pst_buf_append(&live->key, "", 1);
    rc = pst_buf_puts(&live->key, ":\"");
    if (rc == 0)
        rc = pst_text_plain(&live->key, command);
    if (rc == 0)
        rc = pst_buf_puts(&live->key, "\"");
    return rc < 0 ? rc : pst_buf_append(&live->key, "", 1);
}

/* --- sums --- */

static int find(struct pst_live *live, enum pst_live_rows rows, uint32_t *ret_id)
{
    struct book *book = &live->books[rows];
    uint32_t before = pst_intern_count(book->keys);
    int rc;

    if (before >= book->cap) {
        size_t cap = book->cap ? book->cap * 2 : 64;
        struct sums *grown = realloc(book->sums, cap * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        book->sums = grown;
        book->cap = cap;
    }
    rc = pst_intern_add(book->keys, live->key.data, live->key.len, ret_id);
    if (rc == 0 && *ret_id == before)
        book->sums[before] = (struct sums){0};
    return rc;
}

static void count_in(struct sums *sums, uint64_t sample, int64_t value_ns, bool own)
{
    if (own) {
        sums->last_own += value_ns;
        sums->own += value_ns;
    }
    if (sums->seen == sample)
        return;
    sums->seen = sample;
    sums->last_total += value_ns;
    sums->total += value_ns;
}

/* Ids of a profile's locations in one book; UINT32_MAX: it has no room. */
static int translate(struct pst_live *live, const struct pst_profile *profile,
                     enum pst_live_rows rows, uint32_t *ids)
{
    int failed = 0;

    for (uint32_t i = 0; i < pst_profile_location_count(profile); i++) {
        pst_buf_reset(&live->key);
        int rc = put_location(live, profile, i, rows);

        if (rc == 0)
            rc = find(live, rows, &ids[i]);
        if (rc < 0) {
            ids[i] = UINT32_MAX;
            failed = rc;
        }
    }
    return failed;
}

static int add_owner(struct pst_live *live, const struct pst_profile *profile, uint32_t index,
                     int64_t value_ns)
{
    struct pst_owner owner = pst_owner_of(profile, index);
    uint32_t id;
    int rc;

    pst_buf_reset(&live->key);
    rc = put_thread(live, &owner);
    if (rc == 0)
        rc = find(live, PST_LIVE_THREADS, &id);
    if (rc == 0)
        count_in(&live->books[PST_LIVE_THREADS].sums[id], live->sample, value_ns, true);
    pst_buf_reset(&live->key);
    rc = rc < 0 ? rc : put_process(live, &owner);
    if (rc == 0)
        rc = find(live, PST_LIVE_PROCESSES, &id);
    if (rc == 0)
        count_in(&live->books[PST_LIVE_PROCESSES].sums[id], live->sample, value_ns, true);
    return rc;
}

static int add_samples(struct pst_live *live, const struct pst_profile *profile,
                       const uint32_t *functions, const uint32_t *lines)
{
    int failed = 0;

    for (uint32_t at = 0; at < pst_profile_sample_count(profile); at++) {
        struct pst_profile_sample sample;

        pst_profile_sample(profile, at, &sample);
        live->sample++;
        for (size_t i = 0; i < sample.depth; i++) {
            uint32_t function = functions[sample.locations[i]], line = lines[sample.locations[i]];

            if (function != UINT32_MAX)
                count_in(&live->books[PST_LIVE_FUNCTIONS].sums[function], live->sample,
                         sample.value_ns, i == 0);
            if (line != UINT32_MAX)
                count_in(&live->books[PST_LIVE_LINES].sums[line], live->sample, sample.value_ns,
                         i == 0);
        }
        int rc = add_owner(live, profile, at, sample.value_ns);
        failed = rc < 0 ? rc : failed;
    }
    return failed;
}

static int add_profile(struct pst_live *live, const struct pst_profile *profile)
{
    size_t count = (size_t)pst_profile_location_count(profile) + 1;
    pst_autofree uint32_t *functions = calloc(count, sizeof(*functions));
    pst_autofree uint32_t *lines = calloc(count, sizeof(*lines));
    int of_functions, of_lines, of_samples;

    if (!functions || !lines)
        return -ENOMEM;
    of_functions = translate(live, profile, PST_LIVE_FUNCTIONS, functions);
    of_lines = translate(live, profile, PST_LIVE_LINES, lines);
    of_samples = add_samples(live, profile, functions, lines);
    return of_functions < 0 ? of_functions : of_lines < 0 ? of_lines : of_samples;
}

int pst_live_add(struct pst_live *live, const struct pst_live_interval *interval)
{
    double elapsed = interval->elapsed_ns > 0 ? (double)interval->elapsed_ns : 1;
    int rc = 0;

    for (int rows = 0; rows < PST_LIVE_ROWS_COUNT; rows++) {
        struct book *book = &live->books[rows];

        for (size_t i = 0; i < pst_intern_count(book->keys); i++)
            book->sums[i].last_own = book->sums[i].last_total = 0;
    }
    live->last_ns = interval->elapsed_ns;
    live->elapsed_ns += interval->elapsed_ns;
    live->active[live->next] = (double)interval->active_ns / elapsed;
    live->gil[live->next] = (double)interval->gil_ns / elapsed;
    live->next = (live->next + 1) % PST_LIVE_HISTORY;
    live->history += live->history < PST_LIVE_HISTORY;
    if (interval->profile)
        rc = add_profile(live, interval->profile);
    live->full = live->full || rc < 0;
    return rc;
}

/* Books without room begin anew, the last interval's rows included. */
void pst_live_reset(struct pst_live *live)
{
    for (int rows = 0; rows < PST_LIVE_ROWS_COUNT; rows++) {
        struct book *book = &live->books[rows];

        if (live->full) {
            pst_intern_clear(book->keys);
            continue;
        }
        for (size_t i = 0; i < pst_intern_count(book->keys); i++)
            book->sums[i].own = book->sums[i].total = 0;
    }
    live->elapsed_ns = 0;
    live->full = false;
}

/* --- reading --- */

static void read_gauge(const struct pst_live *live, const double *ring, struct pst_live_gauge *ret)
{
    size_t first = live->history < PST_LIVE_HISTORY ? 0 : live->next;

    ret->count = live->history;
    for (size_t i = 0; i < live->history; i++)
        ret->history[i] = ring[(first + i) % PST_LIVE_HISTORY];
    ret->last = live->history ? ret->history[live->history - 1] : 0;
}

void pst_live_state(const struct pst_live *live, struct pst_live_state *ret)
{
    *ret = (struct pst_live_state){
        .elapsed_ns = live->elapsed_ns, .last_ns = live->last_ns, .full = live->full};
    read_gauge(live, live->active, &ret->active);
    read_gauge(live, live->gil, &ret->gil);
}

static bool holds(struct pst_str text, struct pst_str part)
{
    for (size_t at = 0; at + part.len <= text.len; at++) {
        size_t same = 0;

        while (same < part.len && tolower((unsigned char)text.ptr[at + same]) ==
                                      tolower((unsigned char)part.ptr[same]))
            same++;
        if (same == part.len)
            return true;
    }
    return false;
}

static int order(double left, double right)
{
    return (left < right) - (left > right);
}

static int by_columns(const void *left, const void *right, void *context)
{
    const struct pst_live_row *a = left, *b = right;
    enum pst_live_sort sort = *(const enum pst_live_sort *)context;
    int orders[] = {order(a->own, b->own), order(a->total, b->total),
                    order((double)a->own_ns, (double)b->own_ns),
                    order((double)a->total_ns, (double)b->total_ns)};
    size_t shorter = a->text.len < b->text.len ? a->text.len : b->text.len;
    int found = orders[sort];

    for (int i = 0; i < 4 && found == 0; i++)
        found = orders[i];
    if (found == 0)
        found = memcmp(a->text.ptr, b->text.ptr, shorter);
    return found ? found : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

int pst_live_table_new(const struct pst_live *live, const struct pst_live_query *query,
                       struct pst_live_table **ret)
{
    const struct book *book = &live->books[query->rows];
    size_t count = pst_intern_count(book->keys);
    struct pst_live_table *table = calloc(1, sizeof(*table));
    double elapsed = live->last_ns > 0 ? (double)live->last_ns : 1;

    if (table)
        table->rows = calloc(count + 1, sizeof(*table->rows));
    if (!table || !table->rows) {
        pst_live_table_free(table);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct sums *sums = &book->sums[i];
        struct pst_str key = pst_intern_get(book->keys, (uint32_t)i);
        struct pst_str text = {key.ptr, pst_str_find(key, 0)};

        if ((sums->total == 0 && sums->last_total == 0) || !holds(text, query->filter))
            continue;
        table->rows[table->count++] =
            (struct pst_live_row){text, (double)sums->last_own / elapsed,
                                  (double)sums->last_total / elapsed, sums->own, sums->total};
    }
    qsort_r(table->rows, table->count, sizeof(*table->rows), by_columns, (void *)&query->sort);
    *ret = table;
    return 0;
}

struct pst_live_table *pst_live_table_free(struct pst_live_table *table)
{
    if (table)
        free(table->rows);
    free(table);
    return NULL;
}
