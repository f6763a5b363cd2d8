/* What engines said of containers and since when somebody asks: a table without thread, lock or
 * clock of its own. */
#ifndef PST_LABELS_CONTAINERS_H
#define PST_LABELS_CONTAINERS_H

#include "labels/metadata.h"

enum { PST_CONTAINER_ID_BYTES = 80 };

struct pst_container_key {
    char id[PST_CONTAINER_ID_BYTES]; /* zero padded */
};
/* False for an id that is empty or too long. */
bool pst_container_key_make(struct pst_str id, struct pst_container_key *ret);

struct pst_containers;
/* NULL: no memory. */
struct pst_containers *pst_containers_new(void);
struct pst_containers *pst_containers_free(struct pst_containers *containers);
size_t pst_containers_count(const struct pst_containers *containers);

/* Puts or replaces what an engine says; takes a reference, and adds to it what was said before and
 * is not said again, labels and annotations of pods excepted. 1: somebody asked for this container,
 * and it is something new; 0; -ENOMEM, -ENOSPC. */
int pst_containers_put(struct pst_containers *containers, enum pst_engine engine,
                       const struct pst_container_key *key, struct pst_meta *meta, uint64_t now_ns);

/* What is known (references are the caller's), noting the question. 1: the first one for this
 * container; 0; -ENOMEM, -ENOSPC. */
int pst_containers_get(struct pst_containers *containers, const struct pst_container_key *key,
                       uint64_t now_ns, struct pst_engines *ret);

/* Whether a target of this container, which is in a pod, is to wait for more: the best engine of
 * those present (a set of 1u << engine) has not answered, and the hold is not over. */
bool pst_containers_wait(const struct pst_containers *containers,
                         const struct pst_container_key *key, unsigned present, uint64_t now_ns);

/* At most so many of those to ask an engine for, from *cursor on and round to it, so that each gets
 * its turn. One that stays unknown is asked for until a minute after it was first asked for in
 * vain. */
size_t pst_containers_wanted(const struct pst_containers *containers, enum pst_engine engine,
                             uint64_t now_ns, struct pst_container_key *ids, size_t max,
                             size_t *cursor);

/* The engine answered when it was asked for these. */
void pst_containers_asked(struct pst_containers *containers, enum pst_engine engine,
                          const struct pst_container_key *ids, size_t count, uint64_t now_ns);

/* Drops those that nobody asked for and no engine listed for five minutes. */
void pst_containers_forget(struct pst_containers *containers, uint64_t now_ns);

#endif
