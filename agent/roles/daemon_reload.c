/* Loading the configuration, and swapping it while everything runs: whole, or not at all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "daemon.h"

extern char **environ;

int pst_daemon_load(const struct pst_daemon_args *args, struct pst_config **ret,
                    struct pst_error *error)
{
    int r = pst_config_load(args->config_file, args->set, args->set_count, environ, ret, error);
    if (r == 0 && args->file_directory)
        r = pst_config_add_file_exporter(*ret, args->file_directory);
    if (r == -ENOMEM)
        (void)pst_error_set(error, PST_EXIT_FAILED, "configuration", NULL, "out of memory");
    return r;
}

static enum pst_log_level level_of(const char *word)
{
    return strcmp(word, "debug") == 0   ? PST_LOG_DEBUG
           : strcmp(word, "warn") == 0  ? PST_LOG_WARN
           : strcmp(word, "error") == 0 ? PST_LOG_ERROR
                                        : PST_LOG_INFO;
}

void pst_daemon_log_setup(const struct pst_config *config)
{
    pst_log_setup(level_of(config->log.level),
                  strcmp(config->log.format, "json") == 0 ? PST_LOG_JSON : PST_LOG_LOGFMT,
                  "daemon");
}

void pst_daemon_tell_native(const struct pst_daemon *daemon)
{
    struct pst_control record = {.kind = PST_CONTROL_NATIVE,
                                 .role = PST_ROLE_DAEMON,
                                 .value = daemon->config->sampling.native};

    (void)pst_control_send(PST_FD_CONTROL, &record);
    if (daemon->config->sampling.native)
        pst_log_warn("native", "sampling.native is on: each thread that is sampled is stopped for "
                               "some 50 us");
}

static int out_of_memory(struct pst_error *error)
{
    (void)pst_error_set(error, PST_EXIT_FAILED, "configuration", NULL, "out of memory");
    return -ENOMEM;
}

static void tell_what_waits(const struct pst_config *old, const struct pst_config *config)
{
    const struct {
        const char *setting, *was, *is;
    } rows[] = {
        {"server.listen", old->server.listen, config->server.listen},
        {"server.bearer_token_file", old->server.bearer_token_file,
         config->server.bearer_token_file},
        {"store.directory", old->store.directory, config->store.directory},
        {"spool.directory", old->spool.directory, config->spool.directory},
    };
    for (size_t i = 0; i < PST_ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].was, rows[i].is) != 0)
            pst_log_warn("reload", "%s takes effect at the next start", rows[i].setting);
}

static int take(struct pst_daemon *daemon, struct pst_config *config, struct pst_error *error)
{
    struct pst_rules *rules;
    if (pst_rules_new(config, &rules) < 0)
        return out_of_memory(error);
    tell_what_waits(daemon->config, config);
    int r = pst_exporters_reload(daemon->exporters, config, error);
    if (r < 0) {
        pst_rules_free(rules);
        return r;
    }
    struct pst_config *old = daemon->config;
    pst_rules_free(daemon->rules);
    daemon->rules = rules;
    daemon->config = config;
    if (old->sampling.native != config->sampling.native)
        pst_daemon_tell_native(daemon);
    pst_config_unref(old);
    pst_daemon_log_setup(config);
    pst_metadata_configure(daemon->metadata, config);
    if (daemon->store)
        pst_store_configure(daemon->store, config->store.retention_ns,
                            config->store.max_size_bytes);
    pst_daemon_relabel(daemon);
    daemon->plan_due = true;
    (void)pst_daemon_send_discovery(daemon, false);
    return 0;
}

int pst_daemon_reload(struct pst_daemon *daemon, struct pst_error *error)
{
    struct pst_config *config = NULL;
    int r = pst_daemon_load(&daemon->args, &config, error);
    if (r == 0)
        r = take(daemon, config, error);
    if (r < 0) {
        pst_config_unref(config);
        pst_metric_set(PST_METRIC_RELOAD_OK, NULL, NULL, 0);
        pst_log_error("reload", "%s%s%s; the old configuration stays in force", error->where,
                      error->where[0] ? ": " : "", error->text);
        return r;
    }
    pst_metric_set(PST_METRIC_RELOAD_OK, NULL, NULL, 1);
    pst_metric_set(PST_METRIC_RELOAD_TIME, NULL, NULL,
                   (double)(pst_clock_realtime_ns() / PST_NS_PER_S));
    pst_log_info("reload", "configuration taken");
    return 0;
}
