/* Annotations are ours (pystrobe.io/KEY, for one container pystrobe.io/KEY.CONTAINER) and those of
 * other profilers that mean the same. enabled: "false" wins under every scheme. */
#include "rules/pods.h"

#include <errno.h>
#include <stdio.h>

#include "base/regex.h"
#include "config/value.h"
#include "profile/profile.h"

#define ANNOTATION "__meta_kubernetes_pod_annotation_"

/* The value for this container, else for the pod. */
static struct pst_str wish(const struct pst_meta *meta, const char *key)
{
    struct pst_str container = pst_meta_get(meta, "__meta_kubernetes_pod_container_name");
    char pod[96], own[512];

    (void)snprintf(pod, sizeof(pod), ANNOTATION "pystrobe_io_%s", key);
    (void)snprintf(own, sizeof(own), "%s_%.*s", pod,
                   (int)(container.len < 300 ? container.len : 300), container.ptr);
    for (char *at = own; *at; at++)
        if (*at == '-' || *at == '.')
            *at = '_';
    struct pst_str value = pst_meta_get(meta, own);
    return pst_str_trim(value.len > 0 ? value : pst_meta_get(meta, pod));
}

static bool is(struct pst_str value, bool wanted)
{
    bool flag;

    return pst_value_bool(value, &flag) == 0 && flag == wanted;
}

/* The most particular word of those that ask for profiling or refuse it. */
static struct pst_str enabled(const struct pst_meta *meta)
{
    struct pst_str value = wish(meta, "enabled");

    return value.len > 0 ? value
                         : pst_meta_get(meta, ANNOTATION "profiles_grafana_com_cpu_ebpf_enabled");
}

static bool matches(const struct pst_config_strings *patterns, struct pst_str text)
{
    char why[8];
    size_t at;

    for (size_t i = 0; i < patterns->count; i++) {
        struct pst_regex *regex;
        if (pst_regex_new(pst_str(patterns->items[i]), &regex, why, sizeof(why), &at) < 0)
            continue;
        bool matched = pst_regex_match(regex, text, NULL) == 1;
        pst_regex_free(regex);
        if (matched)
            return true;
    }
    return false;
}

static unsigned modes_of(struct pst_str list)
{
    struct pst_str item;
    unsigned modes = 0;

    while (pst_str_next(&list, ',', &item)) {
        item = pst_str_trim(item);
        for (unsigned mode = 0; mode < PST_MODE_COUNT; mode++)
            if (pst_str_eq(item, pst_str(pst_mode_word((enum pst_mode)mode))))
                modes |= 1U << mode;
    }
    return modes;
}

static const char *refusal(const struct pst_config *config, const struct pst_meta *meta)
{
    struct pst_str namespace = pst_meta_get(meta, "namespace");
    bool annotated = strcmp(config->discovery.kubernetes.targeting, "annotation") == 0;
    bool own = pst_meta_get(meta, "__meta_pystrobe_own_pod").len > 0;

    if (is(enabled(meta), false) || is(wish(meta, "enabled"), false))
        return "annotation";
    if (annotated && !is(enabled(meta), true))
        return "not_enabled";
    if (matches(&config->discovery.kubernetes.exclude_namespaces, namespace) ||
        (config->discovery.kubernetes.namespaces.count > 0 &&
         !matches(&config->discovery.kubernetes.namespaces, namespace)))
        return "namespace";
    return pst_meta_get(meta, "__meta_pystrobe_sidecar").len > 0 && !own ? "sidecar" : NULL;
}

/* What cannot be meant changes nothing, and whoever asks why is told. */
static void pass_over(const char *key, struct pst_str value, const char *wanted,
                      struct pst_buf *why)
{
    value.len = value.len < 60 ? value.len : 60;
    (void)pst_buf_printf(why, "annotation pystrobe.io/%s passed over: ", key);
    (void)pst_buf_escaped(why, value);
    (void)pst_buf_printf(why, " is not %s\n", wanted);
}

int pst_pod_wishes(const struct pst_config *config, const struct pst_meta *meta,
                   struct pst_pod_wishes *ret, struct pst_buf *why)
{
    struct pst_str hz = wish(meta, "hz"), modes = wish(meta, "modes");
    double rate;

    *ret = (struct pst_pod_wishes){.dropped = refusal(config, meta)};
    if (pst_value_float(hz, &rate) == 0 && rate >= 1 && rate <= 1000) {
        ret->hz = rate;
        (void)pst_buf_printf(why, "%g Hz by annotation pystrobe.io/hz\n", rate);
    } else if (hz.len > 0) {
        pass_over("hz", hz, "a number from 1 to 1000", why);
    }
    ret->modes = modes_of(modes);
    if (!ret->modes && modes.len > 0)
        pass_over("modes", modes, "a list of cpu, wall, gil", why);
    if (ret->modes)
        (void)pst_buf_printf(why, "modes %.*s by annotation pystrobe.io/modes\n",
                             (int)(modes.len < 60 ? modes.len : 60), modes.ptr);
    if (ret->dropped)
        return pst_buf_printf(why, "dropped by pod settings: %s\n", ret->dropped) == -ENOMEM
                   ? -ENOMEM
                   : 0;
    return 0;
}
