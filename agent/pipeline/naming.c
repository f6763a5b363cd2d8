/* Sources name the target, rules decide what becomes of it. */
#include "pipeline/naming.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "rules/pods.h"

/* What the pod says, then the rules. */
static int decide(const struct pst_config *config, const struct pst_rules *rules,
                  struct pst_target_labels *made, struct pst_ruled *ret, struct pst_naming *naming)
{
    struct pst_pod_wishes wishes;
    int r = pst_pod_wishes(config, made->meta, &wishes, &made->why);
    if (r < 0)
        return r;
    naming->modes = wishes.modes;
    if (wishes.dropped) {
        *ret = (struct pst_ruled){.dropped = wishes.dropped};
        return 0;
    }
    r = pst_rules_apply(rules, made->meta, &config->labels, ret);
    if (r == 0 && ret->hz == 0)
        ret->hz = wishes.hz;
    return r;
}

static int why_text(const struct pst_target_labels *made, const struct pst_ruled *ruled, char **ret)
{
    struct pst_buf text;
    pst_buf_init(&text, made->why.len + ruled->why.len);
    int r = pst_buf_str(&text, pst_buf_view(&made->why));
    if (r == 0)
        r = pst_buf_str(&text, pst_buf_view(&ruled->why));
    *ret = r == 0 ? pst_buf_steal(&text, NULL) : NULL;
    pst_buf_done(&text);
    return *ret ? 0 : -ENOMEM;
}

int pst_naming_make(const struct pst_config *config, const struct pst_rules *rules,
                    const struct pst_facts *facts, const struct pst_label_lookup *lookup,
                    struct pst_naming *ret)
{
    struct pst_target_labels made;
    struct pst_ruled ruled;
    *ret = (struct pst_naming){.before = NULL};
    int r = pst_target_labels_make(facts, lookup, &made);
    if (r < 0)
        return r;
    r = decide(config, rules, &made, &ruled, ret);
    if (r == 0) {
        ret->before = pst_meta_ref(made.meta);
        ret->after = ruled.series;
        ruled.series = NULL;
        ret->dropped = ruled.dropped;
        ret->hz = ruled.hz;
        ret->refused_labels = ruled.refused_labels;
        r = why_text(&made, &ruled, &ret->why);
        pst_ruled_done(&ruled);
    }
    pst_target_labels_done(&made);
    if (r < 0)
        pst_naming_done(ret);
    return r;
}

void pst_naming_done(struct pst_naming *naming)
{
    naming->before = pst_meta_unref(naming->before);
    naming->after = pst_labels_free(naming->after);
    free(naming->why);
    naming->why = NULL;
}

uint64_t pst_naming_hour(uint64_t now_realtime_ns)
{
    return now_realtime_ns / (3600 * PST_NS_PER_S);
}

const char *pst_naming_resting(const struct pst_config *config, const struct pst_facts *facts,
                               uint64_t now_realtime_ns)
{
    double share = config->sampling.share;
    uint64_t hour = pst_naming_hour(now_realtime_ns);
    if (!config->sampling.enabled)
        return "disabled";
    if (share >= 1)
        return NULL;
    struct pst_random draw = {.state = ((uint64_t)facts->pid << 32) ^ facts->start_ticks ^
                                       (hour * 0x9e3779b97f4a7c15ULL)};
    bool in = (double)(pst_random_next(&draw) >> 11) / (double)(1ULL << 53) < share;
    return in ? NULL : "share";
}
