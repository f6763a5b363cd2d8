/* A profile in memory: flat tables with indices, what pprof is decoded into and encoded from.
 * Built by windows, merged by the pipeline, rendered by render/. Bounded by its limits. */
#ifndef PST_PROFILE_PROFILE_H
#define PST_PROFILE_PROFILE_H

#include "base/str.h"

struct pst_profile;

enum pst_mode { PST_MODE_CPU, PST_MODE_WALL, PST_MODE_GIL, PST_MODE_COUNT };
/* "cpu", "wall", "gil": sample type and period type name. */
const char *pst_mode_word(enum pst_mode mode);
/* "process_cpu", "wall", "gil": series name on Pyroscope and Parca (design 2.4). */
const char *pst_mode_series(enum pst_mode mode);
int pst_mode_parse(struct pst_str word, enum pst_mode *ret);

/* Empty profile of that mode: sample types (samples,count) and (MODE,nanoseconds), period type
 * (MODE,nanoseconds). NULL when out of memory. */
struct pst_profile *pst_profile_new(enum pst_mode mode);
struct pst_profile *pst_profile_free(struct pst_profile *profile);

struct pst_profile_meta {
    enum pst_mode mode;
    int64_t time_ns;     /* CLOCK_REALTIME at window start */
    int64_t duration_ns; /* CLOCK_MONOTONIC */
    int64_t period_ns;   /* nominal 1e9/hz */
};
void pst_profile_set_meta(struct pst_profile *profile, const struct pst_profile_meta *meta);
struct pst_profile_meta pst_profile_meta(const struct pst_profile *profile);
/* Human text, one comment a line in pprof. */
int pst_profile_add_comment(struct pst_profile *profile, struct pst_str text);
uint32_t pst_profile_comment_count(const struct pst_profile *profile);
struct pst_str pst_profile_comment(const struct pst_profile *profile, uint32_t index);

/* Interning. Ids are dense from 0. Text is made valid UTF-8. 0, -ENOMEM, -ENOSPC. */
int pst_profile_string(struct pst_profile *profile, struct pst_str text, uint32_t *ret_id);
struct pst_function {
    uint32_t name, system_name, filename; /* string ids */
    int64_t start_line;
};
int pst_profile_function(struct pst_profile *profile, const struct pst_function *function,
                         uint32_t *ret_id);
/* One line per location: Python frames have no inlining. */
int pst_profile_location(struct pst_profile *profile, uint32_t function, int64_t line,
                         uint32_t *ret_id);
/* The same for an instruction of a binary. */
struct pst_origin {
    uint32_t binary, build_id; /* string ids; binary 0: none, as all Python frames */
    uint64_t address;          /* as linked */
};
int pst_profile_native_location(struct pst_profile *profile, uint32_t function, int64_t line,
                                const struct pst_origin *origin, uint32_t *ret_id);
/* Convenience for bracketed frames such as "[torn]": function without file, line 0. */
int pst_profile_synthetic(struct pst_profile *profile, const char *name, uint32_t *ret_location);

struct pst_label {
    uint32_t key; /* string id */
    bool numeric;
    uint32_t str; /* string id when not numeric */
    int64_t num;
    uint32_t unit; /* string id when numeric */
};
/* Adds to the sample of (locations leaf first, labels); equal ones merge. Labels are sorted by
 * key inside, the first value of a key wins. 0, -ENOMEM, -ENOSPC (the caller then counts an
 * overflow), -EINVAL for an unknown id, no location, or a negative number. */
int pst_profile_add(struct pst_profile *profile, const uint32_t *locations, size_t depth,
                    const struct pst_label *labels, size_t label_count, int64_t samples,
                    int64_t value_ns);

/* Reading. */
uint32_t pst_profile_sample_count(const struct pst_profile *profile);
struct pst_profile_sample {
    const uint32_t *locations; /* leaf first */
    size_t depth;
    const struct pst_label *labels;
    size_t label_count;
    int64_t samples, value_ns;
};
void pst_profile_sample(const struct pst_profile *profile, uint32_t index,
                        struct pst_profile_sample *ret);
uint32_t pst_profile_string_count(const struct pst_profile *profile);
struct pst_str pst_profile_text(const struct pst_profile *profile, uint32_t string);
uint32_t pst_profile_function_count(const struct pst_profile *profile);
const struct pst_function *pst_profile_function_at(const struct pst_profile *profile,
                                                   uint32_t function);
uint32_t pst_profile_location_count(const struct pst_profile *profile);
void pst_profile_location_at(const struct pst_profile *profile, uint32_t location,
                             uint32_t *ret_function, int64_t *ret_line);
void pst_profile_location_origin(const struct pst_profile *profile, uint32_t location,
                                 struct pst_origin *ret);
/* The binaries that locations name: (binary, build id), each once. */
uint32_t pst_profile_binary_count(const struct pst_profile *profile);
void pst_profile_binary_at(const struct pst_profile *profile, uint32_t index,
                           struct pst_origin *ret);
/* Index of a location's binary; false when it has none. */
bool pst_profile_location_binary(const struct pst_profile *profile, uint32_t location,
                                 uint32_t *ret_index);
void pst_profile_total(const struct pst_profile *profile, int64_t *ret_samples,
                       int64_t *ret_value_ns);
size_t pst_profile_bytes(const struct pst_profile *profile); /* memory held */
/* Where adding starts to answer -ENOSPC. PST_MAX_WINDOW_BYTES at first, PST_MAX_PPROF_BYTES after
 * decoding. */
void pst_profile_set_max_bytes(struct pst_profile *profile, size_t max_bytes);

/* Adds every sample of source (same mode, else -EINVAL). keep_label(context, key) false drops a
 * label, and equal stacks then merge; NULL keeps all. Start is the earlier, end the later. */
int pst_profile_merge(struct pst_profile *into, const struct pst_profile *source,
                      bool (*keep_label)(void *context, struct pst_str key), void *context);
/* Copies the samples for which wanted(context, index) is true, with only the tables they use, the
 * meta and the comments. 0, -ENOMEM. */
int pst_profile_pick(const struct pst_profile *profile,
                     bool (*wanted)(void *context, uint32_t index), void *context,
                     struct pst_profile **ret);
/* Copies [first, last) of the samples with only the tables they use: splitting for backends'
 * limits. */
int pst_profile_slice(const struct pst_profile *profile, uint32_t first, uint32_t last,
                      struct pst_profile **ret);

#endif
