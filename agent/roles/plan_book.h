/* The sample reader's side of the plan: parts become a whole, ids become what the table says of
 * them. Reads no target. One thread. */
#ifndef PST_ROLES_PLAN_BOOK_H
#define PST_ROLES_PLAN_BOOK_H

#include "roles/link.h"
#include "roles/table.h"

struct pst_plan_book;

/* The table is borrowed; native: every target is sampled with native frames. NULL when out of
 * memory.
 */
struct pst_plan_book *pst_plan_book_new(const struct pst_table *table, bool native);
struct pst_plan_book *pst_plan_book_free(struct pst_plan_book *book);

/* Never to be sampled, whatever a plan says. */
void pst_plan_book_skip(struct pst_plan_book *book, uint32_t target);

/* Takes a part of a sampling plan. 1 when that put a whole plan into force, 0 when more parts are
 * to come, -EBADMSG when it is no part of what came before (all of it is then forgotten), -ENOSPC
 * past PST_MAX_TARGETS rows. */
int pst_plan_book_take(struct pst_plan_book *book, const struct pst_link_plan *part);

/* What to sample now, valid until the next call. boot_ticks: now, as start_ticks count. *ret_again
 * is true when an entry was being written: ask once more in a moment. */
size_t pst_plan_book_resolve(struct pst_plan_book *book, uint64_t boot_ticks,
                             const struct pst_sampler_target **ret_targets, bool *ret_again);

uint64_t pst_plan_book_generation(const struct pst_plan_book *book);
/* How far it wants caches shrunk. */
unsigned pst_plan_book_shrink(const struct pst_plan_book *book);

#endif
