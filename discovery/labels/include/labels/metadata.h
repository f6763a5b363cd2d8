/* What Kubernetes and container engines say of containers: a table that a thread of each source
 * fills, so that nobody else ever waits for the network and no source for another. A source is
 * asked when an unknown container id appears, at a bounded rate; what it said is kept for five
 * minutes after a container is no longer listed. Sources may come and go; each field degrades by
 * itself. */
#ifndef PST_LABELS_METADATA_H
#define PST_LABELS_METADATA_H

#include "base/buf.h"
#include "config/config.h"
#include "labels/meta.h"
#include "scan/facts.h"

/* PST_ENGINE(ID, word). */
#define PST_ENGINES(X)                                                                             \
    X(KUBERNETES, "kubernetes")                                                                    \
    X(CRI, "cri")                                                                                  \
    X(DOCKER, "docker")

enum pst_engine {
#define PST_ENGINE(id, word) PST_ENGINE_##id,
    PST_ENGINES(PST_ENGINE)
#undef PST_ENGINE
        PST_ENGINE_COUNT
};

/* __meta_* labels by source; NULL where a source knows nothing. References are the holder's. */
struct pst_engines {
    struct pst_meta *of[PST_ENGINE_COUNT];
};
void pst_engines_done(struct pst_engines *engines);

struct pst_metadata;

/* Starts the threads. 0, -ENOMEM, -EAGAIN. The configuration is referenced. */
int pst_metadata_new(struct pst_config *config, struct pst_metadata **ret);
void pst_metadata_configure(struct pst_metadata *metadata, struct pst_config *config);
/* Ends running requests and waits for the threads until then (monotonic); when one is stuck, they
 * are left behind with what they use. */
struct pst_metadata *pst_metadata_free(struct pst_metadata *metadata, uint64_t until_ns);

/* Readable when something new is known; reading it is the caller's. */
int pst_metadata_fd(const struct pst_metadata *metadata);

/* What is known of the target's container by now (in references), asking for what is not. True when
 * the wait for more is worth it: the target is in a pod, Kubernetes (CRI, where Kubernetes cannot
 * be asked) has not answered yet, and not long has passed since the first question. Any thread. */
bool pst_metadata_get(struct pst_metadata *metadata, const struct pst_facts *facts,
                      struct pst_engines *ret);
/* Waits until pst_metadata_get would answer false, at most until then. For one-shot commands. */
void pst_metadata_settle(struct pst_metadata *metadata, const struct pst_facts *facts,
                         uint64_t until_ns);

#endif
