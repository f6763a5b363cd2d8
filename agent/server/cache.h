/* The last merged profiles: table, flame graph and other mode of one view ask for the same ones.
 * One merge runs at a time, so that many readers cost the memory of one. */
#ifndef PST_SERVER_CACHE_H
#define PST_SERVER_CACHE_H

#include "internal.h"

struct pst_merged {
    atomic_uint references;
    struct pst_profile *profile; /* sample labels dropped: equal stacks are one */
    struct pst_store_query_result result;
};

struct pst_cache *pst_cache_new(void);
struct pst_cache *pst_cache_free(struct pst_cache *cache);
/* A reference to the merged profile of the range, from the cache or the store. -errno as
 * pst_store_merge; -ENODEV without a store. */
int pst_cache_merge(struct pst_server *server, const struct pst_range *range,
                    struct pst_merged **ret);
void pst_merged_unref(struct pst_merged *merged);
/* Frees what nobody asked for lately. */
void pst_cache_prune(struct pst_cache *cache);
/* Answers why there is no profile. */
void pst_answer_store_error(struct pst_answer *answer, int r);

#endif
