/* Where values come from: defaults, file, environment, flags; references; standard variables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "config/config.h"
#include "schema.h"

static char folder[64], path[96], secret[96];

static struct pst_config *load(const char *yaml, char *const *environment, const char *set)
{
    struct pst_config *config = NULL;
    struct pst_error error = {0};
    int rc;

    if (yaml)
        assert_int_equal(pst_io_write_atomic(path, yaml, strlen(yaml), 0600), 0);
    rc = pst_config_load(yaml ? path : NULL, &set, set ? 1 : 0, environment, &config, &error);
    if (rc < 0)
        print_error("%s: %s; %s\n", error.where, error.text, error.remedy);
    assert_int_equal(rc, 0);
    return config;
}

#define ENVIRONMENT(...) ((char *const[]){(char *)"HOME=/home/someone", __VA_ARGS__, NULL})

static void defaults_are_the_contract(void **state)
{
    struct pst_config *config = load(NULL, ENVIRONMENT(NULL), NULL);

    assert_true(config->sampling.enabled);
    assert_true(config->sampling.hz == 19);
    assert_true(config->sampling.modes[0] && config->sampling.modes[1]);
    assert_false(config->sampling.modes[2]);
    assert_int_equal(config->sampling.window_ns, 15 * PST_NS_PER_S);
    assert_int_equal(config->sampling.max_frames, 256);
    assert_true(config->sampling.share == 1);
    assert_false(config->sampling.native);
    assert_true(config->sampling.overhead_cpu > 0.01999 && config->sampling.overhead_cpu < 0.02001);
    assert_int_equal(config->sampling.overhead_memory_bytes, 64 << 20);
    assert_int_equal(config->discovery.interval_ns, 10 * PST_NS_PER_S);
    assert_int_equal(config->discovery.min_age_ns, 5 * PST_NS_PER_S);
    assert_int_equal(config->discovery.select.count + config->discovery.relabel.count, 0);
    assert_string_equal(config->discovery.containers.docker, "auto");
    assert_string_equal(config->discovery.kubernetes.node, "");
    assert_string_equal(config->discovery.kubernetes.kubelet_url, "");
    assert_int_equal(config->labels.count, 0);
    assert_int_equal(config->exporter_count, 0);
    assert_int_equal(config->store.retention_ns, 86400 * PST_NS_PER_S);
    assert_int_equal(config->store.max_size_bytes, 512 << 20);
    assert_int_equal(config->spool.max_size_bytes, 256 << 20);
    assert_int_equal(config->spool.max_age_ns, 86400 * PST_NS_PER_S);
    assert_string_equal(config->server.listen, "127.0.0.1:7072");
    assert_string_equal(config->log.level, "info");
    assert_string_equal(config->log.format, "logfmt");
    assert_string_equal(config->file, "");
    assert_int_equal(config->files.count, 0);
    assert_int_equal(config->warnings.count, 0);
    assert_null(pst_config_unref(config));
}

static void empty_files_mean_defaults(void **state)
{
    static const char *const empty[] = {"",
                                        "\n",
                                        "# only a comment\n",
                                        "---\n",
                                        "~\n",
                                        "\xef\xbb\xbf# a byte order mark\n",
                                        "sampling:\nlog: ~\n",
                                        "exporters:\nlabels:\nsampling: {hz: }\n"};
    for (size_t i = 0; i < PST_ARRAY_SIZE(empty); i++) {
        struct pst_config *config = load(empty[i], ENVIRONMENT(NULL), NULL);
        assert_true(config->sampling.hz == 19);
        assert_string_equal(config->log.level, "info");
        (void)pst_config_unref(config);
    }
}

static void flag_beats_environment_beats_file_beats_default(void **state)
{
    static const char yaml[] = "sampling: {hz: 50, window: 20s}\n";
    char *const *environment = ENVIRONMENT((char *)"PYSTROBE_SAMPLING_HZ=60");
    struct pst_config *config = load(yaml, environment, "sampling.hz=70");

    assert_true(config->sampling.hz == 70);
    assert_int_equal(config->sampling.window_ns, 20 * PST_NS_PER_S);
    (void)pst_config_unref(config);
    config = load(yaml, environment, NULL);
    assert_true(config->sampling.hz == 60);
    (void)pst_config_unref(config);
    config = load(yaml, ENVIRONMENT((char *)"PYSTROBE_SAMPLING_HZ="), NULL);
    assert_true(config->sampling.hz == 50);
    (void)pst_config_unref(config);
}

static void every_setting_has_a_variable_of_its_own(void **state)
{
    for (const struct pst_setting *row = pst_settings; row->path; row++) {
        char name[160], other[160];
        pst_setting_env_name(row, name, sizeof name);
        assert_true(row->help[0] != 0);
        for (const struct pst_setting *rest = row + 1; rest->path; rest++) {
            pst_setting_env_name(rest, other, sizeof other);
            assert_string_not_equal(name, other);
        }
    }
}

static void collections_come_through_variables_and_flags(void **state)
{
    struct pst_config *config =
        load(NULL,
             ENVIRONMENT((char *)"PYSTROBE_LABELS={team: search, tier: \"1\"}",
                         (char *)"PYSTROBE_SAMPLING_MODES=wall, gil",
                         (char *)"PYSTROBE_EXPORTERS=[{type: parca, address: localhost:7070}]"),
             "discovery.select=[{action: drop, source_labels: [a], regex: b}]");

    assert_int_equal(config->labels.count, 2);
    assert_string_equal(config->labels.items[0].name, "team");
    assert_string_equal(config->labels.items[1].value, "1");
    assert_false(config->sampling.modes[0]);
    assert_true(config->sampling.modes[1] && config->sampling.modes[2]);
    assert_int_equal(config->exporter_count, 1);
    assert_string_equal(config->exporters[0].url, "localhost:7070");
    assert_string_equal(config->exporters[0].where, "PYSTROBE_EXPORTERS:1:2");
    assert_int_equal(config->discovery.select.count, 1);
    assert_string_equal(config->discovery.select.items[0].separator, ";");
    (void)pst_config_unref(config);
    config = load(NULL, ENVIRONMENT(NULL), "sampling.modes=[gil]");
    assert_true(!config->sampling.modes[0] && config->sampling.modes[2]);
    (void)pst_config_unref(config);
}

static void references_expand(void **state)
{
    char yaml[512];
    struct pst_config *config;

    assert_int_equal(pst_io_write_atomic(secret, "hunter2\n", 8, 0600), 0);
    (void)snprintf(yaml, sizeof yaml,
                   "labels: {zone: \"eu-${env:ZONE}-x\", plain: \"$${env:ZONE} ${other} $\"}\n"
                   "exporters:\n"
                   "- type: parca\n  url: \"http://${env:HOST}:7070\"\n"
                   "  bearer_token: \"${file:%s}\"\n",
                   secret);
    config = load(yaml, ENVIRONMENT((char *)"ZONE=1", (char *)"HOST=parca"), NULL);
    assert_string_equal(config->labels.items[0].value, "eu-1-x");
    assert_string_equal(config->labels.items[1].value, "${env:ZONE} ${other} $");
    assert_string_equal(config->exporters[0].url, "http://parca:7070");
    assert_string_equal(config->exporters[0].bearer_token, "hunter2");
    assert_int_equal(config->files.count, 2);
    assert_string_equal(config->files.items[0], path);
    assert_string_equal(config->files.items[1], secret);
    (void)pst_config_unref(config);
}

static void exporters_have_all_their_knobs(void **state)
{
    static const char yaml[] =
        "exporters:\n"
        "- type: otlp\n"
        "  endpoint: https://collector:4318\n"
        "  protocol: http/protobuf\n"
        "  headers: {X-Scope-OrgID: a}\n"
        "  authorization: {type: Token, credentials_file: /run/token}\n"
        "  tls_config: {ca_file: /ca, cert_file: /c, key_file: /k, server_name: s,"
        " insecure_skip_verify: true, min_version: TLS13}\n"
        "  proxy_url: http://proxy:3128\n"
        "  no_proxy: localhost\n"
        "  timeout: 3s\n"
        "  retry_on_failure: {initial_interval: 2s, max_interval: 1m, max_elapsed_time: 1h}\n"
        "  compression: zstd\n"
        "  external_labels: {deployment.environment: prod}\n"
        "  sample_labels: [thread_name]\n"
        "- {type: file, directory: /var/tmp/p, max_size: 1GiB, max_age: 1h}\n"
        "- {type: pyroscope, url: a, oauth2: {client_id: i, client_secret: s, token_url: b,"
        " scopes: [x, y]}}\n"
        "- {type: pyroscope, address: a, basic_auth: {username: u, password_file: /p},"
        " tenant: \"${namespace}\"}\n";
    struct pst_config *config = load(yaml, ENVIRONMENT(NULL), NULL);
    const struct pst_config_exporter *exporter = &config->exporters[0];

    assert_int_equal(config->exporter_count, 4);
    assert_string_equal(exporter->type, "otlp");
    assert_string_equal(exporter->name, "otlp");
    assert_string_equal(exporter->url, "https://collector:4318");
    assert_string_equal(exporter->protocol, "http/protobuf");
    assert_string_equal(exporter->headers.items[0].name, "X-Scope-OrgID");
    assert_string_equal(exporter->authorization_type, "Token");
    assert_string_equal(exporter->authorization_credentials_file, "/run/token");
    assert_string_equal(exporter->tls.ca_file, "/ca");
    assert_string_equal(exporter->tls.min_version, "TLS13");
    assert_true(exporter->tls.insecure_skip_verify);
    assert_false(exporter->tls.insecure);
    assert_string_equal(exporter->proxy_url, "http://proxy:3128");
    assert_string_equal(exporter->no_proxy, "localhost");
    assert_int_equal(exporter->timeout_ns, 3 * PST_NS_PER_S);
    assert_int_equal(exporter->retry_initial_ns, 2 * PST_NS_PER_S);
    assert_int_equal(exporter->retry_max_ns, 60 * PST_NS_PER_S);
    assert_int_equal(exporter->retry_max_elapsed_ns, 3600 * PST_NS_PER_S);
    assert_string_equal(exporter->compression, "zstd");
    assert_string_equal(config->exporters[3].tenant, "${namespace}");
    assert_string_equal(exporter->external_labels.items[0].name, "deployment.environment");
    assert_true(exporter->sample_labels_set);
    assert_string_equal(exporter->sample_labels.items[0], "thread_name");
    assert_non_null(strstr(exporter->where, "pystrobe.yaml:2:3"));
    assert_string_equal(config->exporters[1].directory, "/var/tmp/p");
    assert_int_equal(config->exporters[1].max_size_bytes, 1 << 30);
    assert_false(config->exporters[1].sample_labels_set);
    assert_string_equal(config->exporters[1].url, "");
    assert_string_equal(config->exporters[2].oauth2.scopes.items[1], "y");
    assert_string_equal(config->exporters[3].name, "pyroscope-2");
    assert_int_equal(config->files.count, 6);
    (void)pst_config_unref(config);
}

static void relabel_rules_are_kept(void **state)
{
    static const char yaml[] =
        "discovery:\n"
        "  relabel:\n"
        "  - {source_labels: [__meta_process_comm, b], target_label: service_name}\n"
        "  - {action: hashmod, source_labels: [a], modulus: 8, target_label: shard}\n"
        "  - {action: labeldrop, regex: tmp_.*}\n";
    struct pst_config *config = load(yaml, ENVIRONMENT(NULL), NULL);
    const struct pst_config_rules *rules = &config->discovery.relabel;

    assert_int_equal(rules->count, 3);
    assert_int_equal(rules->items[0].source_labels.count, 2);
    assert_string_equal(rules->items[0].action, "replace");
    assert_string_equal(rules->items[0].regex, "(.*)");
    assert_string_equal(rules->items[0].replacement, "$1");
    assert_int_equal(rules->items[1].modulus, 8);
    assert_string_equal(rules->items[2].regex, "tmp_.*");
    assert_non_null(strstr(rules->items[2].where, ":5:5"));
    assert_int_equal(config->warnings.count, 0);
    (void)pst_config_unref(config);
}

static void standard_variables_make_exporters(void **state)
{
    struct pst_config *config =
        load(NULL,
             ENVIRONMENT((char *)"PYROSCOPE_SERVER_ADDRESS=http://localhost:4040",
                         (char *)"PYROSCOPE_AUTH_TOKEN=t", (char *)"PARCA_ADDRESS=localhost:7070",
                         (char *)"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=http://localhost:4318/x",
                         (char *)"OTEL_EXPORTER_OTLP_HEADERS=a=b%20c, d=e",
                         (char *)"OTEL_EXPORTER_OTLP_TIMEOUT=2500",
                         (char *)"OTEL_RESOURCE_ATTRIBUTES=service.name=agent,host.name=h"),
             NULL);

    assert_int_equal(config->exporter_count, 3);
    assert_string_equal(config->exporters[0].type, "pyroscope");
    assert_string_equal(config->exporters[0].url, "http://localhost:4040");
    assert_string_equal(config->exporters[0].bearer_token, "t");
    assert_string_equal(config->exporters[0].where, "PYROSCOPE_SERVER_ADDRESS");
    assert_string_equal(config->exporters[1].type, "parca");
    assert_string_equal(config->exporters[2].type, "otlp");
    assert_string_equal(config->exporters[2].protocol, "http/protobuf");
    assert_string_equal(config->exporters[2].url, "http://localhost:4318/x");
    assert_int_equal(config->exporters[2].headers.count, 2);
    assert_string_equal(config->exporters[2].headers.items[0].value, "b c");
    assert_int_equal(config->exporters[2].timeout_ns, 2500 * PST_NS_PER_MS);
    assert_int_equal(config->exporters[2].external_labels.count, 1);
    assert_string_equal(config->exporters[2].external_labels.items[0].name, "host.name");
    (void)pst_config_unref(config);
}

static void the_general_endpoint_needs_to_be_chosen(void **state)
{
    char *endpoint = (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317";
    struct pst_config *config = load(NULL, ENVIRONMENT(endpoint), NULL);

    assert_int_equal(config->exporter_count, 0);
    (void)pst_config_unref(config);
    config = load(NULL, ENVIRONMENT(endpoint, (char *)"OTEL_PROFILES_EXPORTER=otlp"), NULL);
    assert_int_equal(config->exporter_count, 1);
    assert_string_equal(config->exporters[0].protocol, "grpc");
    (void)pst_config_unref(config);
}

static void an_exporters_section_wins_over_standard_variables(void **state)
{
    char *const *environment = ENVIRONMENT((char *)"PARCA_ADDRESS=localhost:7070");
    struct pst_config *config = load("exporters: []\n", environment, NULL);

    assert_int_equal(config->exporter_count, 0);
    (void)pst_config_unref(config);
    config = load("sampling: {hz: 20}\n", environment, NULL);
    assert_int_equal(config->exporter_count, 1);
    (void)pst_config_unref(config);
}

static void proxies_of_the_environment_fill_in(void **state)
{
    static const char yaml[] = "exporters:\n"
                               "- {type: parca, url: secure}\n"
                               "- {type: parca, url: \"http://plain\"}\n"
                               "- {type: parca, url: own, proxy_url: \"http://own:1\"}\n";
    struct pst_config *config =
        load(yaml,
             ENVIRONMENT((char *)"HTTPS_PROXY=http://p:1", (char *)"http_proxy=http://q:1",
                         (char *)"NO_PROXY=localhost"),
             NULL);

    assert_string_equal(config->exporters[0].proxy_url, "http://p:1");
    assert_string_equal(config->exporters[0].no_proxy, "localhost");
    assert_string_equal(config->exporters[1].proxy_url, "http://q:1");
    assert_string_equal(config->exporters[2].proxy_url, "http://own:1");
    (void)pst_config_unref(config);
}

static void exporters_that_only_a_number_tells_apart_are_warned_of(void **state)
{
    struct pst_config *config =
        load("exporters:\n- {type: parca, url: a}\n- {type: parca, url: b}\n"
             "- {type: otlp, url: c}\n- {type: otlp, name: own, url: d}\n",
             ENVIRONMENT(NULL), NULL);

    assert_string_equal(config->exporters[1].name, "parca-2");
    assert_int_equal(config->warnings.count, 1);
    assert_non_null(strstr(config->warnings.items[0], ":3:3: parca-2 for want of a name"));
    (void)pst_config_unref(config);
}

/* A collector beside the agent is not reached through the proxy of a company. */
static void proxies_of_the_environment_are_not_for_loopback(void **state)
{
    static const char *const here[] = {"http://localhost:4040", "http://127.8.8.8",
                                       "http://[::1]:1", "https://u:p@LOCALHOST/x",
                                       "127.0.0.1:4317"};
    static const char *const elsewhere[] = {"http://localhost.example",
                                            "https://127.0.0.1.example:1", "http://u:p@[::2]:1",
                                            "128.0.0.1:4317"};
    char *const *environment =
        ENVIRONMENT((char *)"HTTPS_PROXY=http://p:1", (char *)"http_proxy=http://p:1");
    char yaml[200];

    for (size_t i = 0; i < PST_ARRAY_SIZE(here) + PST_ARRAY_SIZE(elsewhere); i++) {
        bool is_here = i < PST_ARRAY_SIZE(here);
        (void)snprintf(yaml, sizeof yaml, "exporters: [{type: parca, url: \"%s\"}]\n",
                       is_here ? here[i] : elsewhere[i - PST_ARRAY_SIZE(here)]);
        struct pst_config *config = load(yaml, environment, NULL);
        assert_string_equal(config->exporters[0].proxy_url, is_here ? "" : "http://p:1");
        (void)pst_config_unref(config);
    }
    struct pst_config *config =
        load("exporters: [{type: parca, url: localhost, proxy_url: \"http://own:1\"}]\n",
             environment, NULL);
    assert_string_equal(config->exporters[0].proxy_url, "http://own:1");
    (void)pst_config_unref(config);
}

static void a_file_exporter_can_be_added(void **state)
{
    struct pst_config *config =
        load("exporters: [{type: file, directory: /a}]\n", ENVIRONMENT(NULL), NULL);

    assert_int_equal(pst_config_add_file_exporter(config, "/b"), 0);
    assert_int_equal(config->exporter_count, 2);
    assert_string_equal(config->exporters[0].directory, "/a");
    assert_string_equal(config->exporters[1].directory, "/b");
    assert_string_equal(config->exporters[1].type, "file");
    assert_string_not_equal(config->exporters[1].name, config->exporters[0].name);
    (void)pst_config_unref(config);
}

/* It was out of memory, since the folder's default is in nobody's home. */
static void a_file_exporter_can_be_added_by_an_ordinary_user(void **state)
{
    bool root = geteuid() == 0;

    if (root)
        assert_int_equal(seteuid(65534), 0);
    struct pst_config *config = load(NULL, ENVIRONMENT(NULL), NULL);
    int added = pst_config_add_file_exporter(config, "/b");
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(added, 0);
    assert_string_equal(config->exporters[0].directory, "/b");
    (void)pst_config_unref(config);
}

static void insecure_and_hexadecimal_forms_of_variables_work(void **state)
{
    struct pst_config *config =
        load(NULL,
             ENVIRONMENT((char *)"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=[::1]:4317",
                         (char *)"OTEL_EXPORTER_OTLP_INSECURE=true",
                         (char *)"OTEL_EXPORTER_OTLP_HEADERS=a=%4A%4b%zz,"),
             NULL);

    assert_string_equal(config->exporters[0].protocol, "grpc");
    assert_true(config->exporters[0].tls.insecure);
    assert_int_equal(config->exporters[0].headers.count, 1);
    assert_string_equal(config->exporters[0].headers.items[0].value, "JK%zz");
    (void)pst_config_unref(config);
}

static void lists_may_be_words(void **state)
{
    struct pst_config *config =
        load("exporters: [{type: file, sample_labels: \"a, b\"}]\nserver: {listen: "
             "\"unix:/run/p.sock\"}\n",
             ENVIRONMENT(NULL), NULL);

    assert_int_equal(config->exporters[0].sample_labels.count, 2);
    assert_string_equal(config->exporters[0].sample_labels.items[1], "b");
    assert_string_equal(config->server.listen, "unix:/run/p.sock");
    (void)pst_config_unref(config);
}

static void auto_directories_follow_the_user(void **state)
{
    struct pst_config *config = load("exporters: [{type: file}]\n", ENVIRONMENT(NULL), NULL);
    bool root = geteuid() == 0;

    assert_string_equal(config->store.directory,
                        root ? "/var/lib/pystrobe" : "/home/someone/.local/state/pystrobe");
    assert_string_equal(config->exporters[0].directory,
                        root ? "/var/lib/pystrobe/profiles"
                             : "/home/someone/.local/state/pystrobe/profiles");
    (void)pst_config_unref(config);
    config = load(NULL, ENVIRONMENT((char *)"XDG_STATE_HOME=/state"), NULL);
    assert_string_equal(config->spool.directory, root ? "/var/lib/pystrobe" : "/state/pystrobe");
    (void)pst_config_unref(config);
    /* As of a container whose user has no entry. */
    config = load(NULL, (char *const[]){(char *)"HOME=/", NULL}, NULL);
    assert_string_equal(config->spool.directory,
                        root ? "/var/lib/pystrobe" : "/.local/state/pystrobe");
    (void)pst_config_unref(config);
}

static void snapshots_live_as_long_as_they_are_held(void **state)
{
    struct pst_config *config = load("labels: {a: b}\n", ENVIRONMENT(NULL), NULL);
    struct pst_config *next = load(NULL, ENVIRONMENT(NULL), NULL);

    assert_true(next->generation > config->generation);
    assert_ptr_equal(pst_config_ref(config), config);
    (void)pst_config_unref(config);
    assert_string_equal(config->labels.items[0].value, "b");
    (void)pst_config_unref(config);
    (void)pst_config_unref(next);
    assert_null(pst_config_unref(NULL));
}

static void aliases_reuse_values(void **state)
{
    static const char yaml[] = "exporters:\n"
                               "- {type: parca, url: a, tls_config: &tls {ca_file: /ca}}\n"
                               "- {type: pyroscope, url: b, tls_config: *tls}\n";
    struct pst_config *config = load(yaml, ENVIRONMENT(NULL), NULL);

    assert_string_equal(config->exporters[1].tls.ca_file, "/ca");
    (void)pst_config_unref(config);
}

static int setup(void **state)
{
    (void)snprintf(folder, sizeof folder, "/tmp/pystrobe-config-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/pystrobe.yaml", folder);
    (void)snprintf(secret, sizeof secret, "%s/secret", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)unlink(path);
    (void)unlink(secret);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_contract),
        cmocka_unit_test(empty_files_mean_defaults),
        cmocka_unit_test(flag_beats_environment_beats_file_beats_default),
        cmocka_unit_test(every_setting_has_a_variable_of_its_own),
        cmocka_unit_test(collections_come_through_variables_and_flags),
        cmocka_unit_test(references_expand),
        cmocka_unit_test(exporters_have_all_their_knobs),
        cmocka_unit_test(relabel_rules_are_kept),
        cmocka_unit_test(standard_variables_make_exporters),
        cmocka_unit_test(the_general_endpoint_needs_to_be_chosen),
        cmocka_unit_test(an_exporters_section_wins_over_standard_variables),
        cmocka_unit_test(proxies_of_the_environment_fill_in),
        cmocka_unit_test(exporters_that_only_a_number_tells_apart_are_warned_of),
        cmocka_unit_test(proxies_of_the_environment_are_not_for_loopback),
        cmocka_unit_test(a_file_exporter_can_be_added),
        cmocka_unit_test(a_file_exporter_can_be_added_by_an_ordinary_user),
        cmocka_unit_test(insecure_and_hexadecimal_forms_of_variables_work),
        cmocka_unit_test(lists_may_be_words),
        cmocka_unit_test(auto_directories_follow_the_user),
        cmocka_unit_test(snapshots_live_as_long_as_they_are_held),
        cmocka_unit_test(aliases_reuse_values),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
