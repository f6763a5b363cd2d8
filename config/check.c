/* What one setting alone cannot tell: the listen address, labels, how settings fit together. */
#include <stdio.h>
#include <sys/un.h>

#include "base/regex.h"
#include "internal.h"

static struct pst_place place_of_setting(struct pst_load *load, const char *path)
{
    const struct pst_setting *row = pst_setting_find(pst_settings, pst_str(path));
    size_t index = (size_t)(row - pst_settings);
    const struct pst_snapshot *snapshot = load->snapshot;
    enum pst_origin origin = snapshot->origins[index].origin;
    char variable[160];
    const char *copy;

    if (origin == PST_ORIGIN_FILE)
        return (struct pst_place){snapshot->config.file, snapshot->origins[index].line,
                                  snapshot->origins[index].column, origin};
    if (origin == PST_ORIGIN_FLAG)
        return (struct pst_place){"--set", 0, 0, origin};
    pst_setting_env_name(row, variable, sizeof variable);
    copy = pst_load_copy(load, pst_str(variable));
    return (struct pst_place){copy ? copy : path, 0, 0, origin};
}

static int check_listen(struct pst_load *load)
{
    static const char remedy[] = "write HOST:PORT such as 127.0.0.1:7072, or unix:/path";
    struct pst_place place = place_of_setting(load, "server.listen");
    struct pst_str text = pst_str(load->snapshot->config.server.listen);
    size_t colon;
    uint64_t port;

    if (pst_str_starts(text, PST_STR("unix:"))) {
        if (text.len < 7 || text.ptr[5] != '/')
            return pst_load_refuse(load, place, remedy, "server.listen needs an absolute path");
        if (text.len - 5 >= sizeof((struct sockaddr_un *)NULL)->sun_path)
            return pst_load_refuse(load, place, "shorten it",
                                   "server.listen: the path is too long");
        return 0;
    }
    colon = pst_str_rfind(text, ':');
    if (colon == text.len ||
        pst_str_u64((struct pst_str){text.ptr + colon + 1, text.len - colon - 1}, 10, 65535,
                    &port) < 0)
        return pst_load_refuse(load, place, remedy, "server.listen has no port from 0 to 65535");
    if (pst_str_find(text, ':') != colon && text.ptr[0] != '[')
        return pst_load_refuse(load, place, "write [ADDRESS]:PORT",
                               "server.listen: an IPv6 address needs brackets");
    return 0;
}

static int check_labels(struct pst_load *load)
{
    const struct pst_config_pairs *labels = &load->snapshot->config.labels;

    for (size_t i = 0; i < labels->count; i++)
        if (strchr(labels->items[i].name, '.'))
            return pst_load_refuse(load, place_of_setting(load, "labels"), "write _ for the dots",
                                   "labels: %.60s: a series label has no dots",
                                   labels->items[i].name);
    return 0;
}

static int check_modes(struct pst_load *load)
{
    const bool *modes = load->snapshot->config.sampling.modes;

    if (modes[0] || modes[1] || modes[2])
        return 0;
    return pst_load_refuse(load, place_of_setting(load, "sampling.modes"),
                           "name one, or set sampling.enabled: false", "sampling.modes is empty");
}

static int check_patterns(struct pst_load *load, const char *path,
                          const struct pst_config_strings *patterns)
{
    char why[200] = "";
    size_t at;

    for (size_t i = 0; i < patterns->count; i++) {
        struct pst_regex *regex = NULL;
        int rc = pst_regex_new(pst_str(patterns->items[i]), &regex, why, sizeof why, &at);
        pst_regex_free(regex);
        if (rc < 0)
            return pst_load_refuse(load, place_of_setting(load, path), "write it in RE2's syntax",
                                   "%s: %.80s %s", path, patterns->items[i], why);
    }
    return 0;
}

static int check_namespaces(struct pst_load *load)
{
    const struct pst_config *config = &load->snapshot->config;
    int rc = check_patterns(load, "discovery.kubernetes.namespaces",
                            &config->discovery.kubernetes.namespaces);

    return rc ? rc
              : check_patterns(load, "discovery.kubernetes.exclude_namespaces",
                               &config->discovery.kubernetes.exclude_namespaces);
}

int pst_config_check(struct pst_load *load)
{
    int rc = check_modes(load);

    rc = rc ? rc : check_namespaces(load);

    rc = rc ? rc : check_listen(load);
    return rc ? rc : check_labels(load);
}
