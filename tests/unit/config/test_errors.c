/* Every way in which a configuration can be wrong: one line with the place and a hint. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "config/config.h"

static char folder[64], path[96], secret[96];

struct row {
    const char *yaml;
    const char *place; /* ":LINE:COLUMN" behind the file's name */
    const char *text, *remedy;
};

static const struct row rows[] = {
    /* YAML itself */
    {"sampling: {hz: 1", ":2:1", "flow mapping that begins in line 1", "indentation"},
    {"sampling:\n\thz: 1\n", ":2:1", "", "indent with spaces"},
    {"a: b: c\n", ":1:5", "mapping values are not allowed", ""},
    {"sampling: {hz: 1}\n--- \nlog: {}\n", ":2:1", "a second document", ""},
    {"labels: {a: !secret x}\n", ":1:13", "tags are not supported", ""},
    {"labels: {a: !!binary x}\n", ":1:13", "tags are not supported", ""},
    {"labels: {a: \"x\\0y\"}\n", ":1:13", "NUL", ""},
    {"labels: {a: x\x01}\n", ":1:", "control characters", "UTF-8"},
    {"labels: {a: \xff}\n", ":1:", "UTF-8", "UTF-8"},
    {"\xff\xfel\0a\0", ":1:", "", "UTF-8"},
    {"labels: {a: *b}\n", ":1:13", "unknown alias", ""},
    {"labels: &a {b: *a}\n", ":1:16", "unknown alias", ""},
    {"labels: {<<: {a: b}}\n", ":1:10", "merge keys", ""},
    {"labels: {[a]: b}\n", ":1:10", "a key must be a word", ""},
    {"- a\n", ":1:1", "a mapping is needed", ""},
    {"just words\n", ":1:1", "a mapping is needed", ""},
    {"sampling:\n  hz: 1\n  hz: 2\n", ":3:3", "duplicate key hz, first given in line 2", ""},
    {"log: {}\nlog: {}\n", ":2:1", "duplicate key log", ""},
    /* Keys */
    {"samplin: {}\n", ":1:1", "unknown key samplin", "did you mean sampling?"},
    {"sampling: {hzz: 1}\n", ":1:12", "unknown key hzz in sampling", "did you mean hz?"},
    {"hz: 1\n", ":1:1", "unknown key hz", "did you mean sampling.hz?"},
    {"sampling: {rate: 1}\n", ":1:12", "unknown key rate", "known here: enabled, hz"},
    {"sampling.hz: 1\n", ":1:1", "unknown key sampling.hz", ""},
    {"sampling: 5\n", ":1:11", "sampling needs a mapping", "indent"},
    {"sampling: [hz]\n", ":1:11", "sampling needs a mapping", ""},
    {"sampling: {overhead: 2%}\n", ":1:22", "sampling.overhead needs a mapping", ""},
    /* Values */
    {"sampling: {hz: fast}\n", ":1:16", "sampling.hz: fast is not a number", "write a number"},
    {"sampling: {hz: .nan}\n", ":1:16", "is not a number", ""},
    {"sampling: {hz: nan}\n", ":1:16", "is not a number", ""},
    {"sampling: {hz: .inf}\n", ":1:16", "is not a number", ""},
    {"sampling: {hz: -3}\n", ":1:16", "is not a number", ""},
    {"sampling: {hz: 0}\n", ":1:16", "is too small", "allowed: 1..1000"},
    {"sampling: {hz: 1001}\n", ":1:16", "is too large", "allowed: 1..1000"},
    {"sampling: {hz: 99999999999999999999999}\n", ":1:16", "is too large", ""},
    {"sampling: {hz: [1]}\n", ":1:16", "sampling.hz needs a plain value, not a list", ""},
    {"sampling: {hz: {a: 1}}\n", ":1:16", "not a mapping", ""},
    {"sampling: {hz: \"\"}\n", ":1:16", "an empty value is not a number", ""},
    {"sampling: {enabled: maybe}\n", ":1:21", "is not a switch", "true or false"},
    {"sampling: {enabled: yes}\n", ":1:21", "is not a switch", "true or false"},
    {"sampling: {modes: [cpu, gpu]}\n", ":1:25", "gpu is not one of its values", "cpu, wall, gil"},
    {"sampling: {modes: []}\n", ":1:12", "sampling.modes is empty", "sampling.enabled"},
    {"sampling: {modes: [[cpu]]}\n", ":1:20", "an item must be a plain value", ""},
    {"sampling: {window: 0s}\n", ":1:20", "is too small", "allowed: 1s..10m"},
    {"sampling: {window: 15 s}\n", ":1:20", "is not a duration", "15s, 1m30s"},
    {"sampling: {max_frames: 1.5}\n", ":1:24", "is not a number", "whole number"},
    {"sampling: {max_frames: 1025}\n", ":1:24", "is too large", "allowed: 128..1024"},
    {"sampling: {share: 0.5}\n", ":1:19", "is not a percentage", "2%"},
    {"sampling: {share: 101%}\n", ":1:19", "is too large", ""},
    {"sampling: {overhead: {memory: 64 MB}}\n", ":1:31", "is not a size", "64MiB"},
    {"sampling: {overhead: {memory: 1KiB}}\n", ":1:31", "is too small", ""},
    {"store: {directory: \"\"}\n", ":1:20", "is no folder", "auto"},
    {"log: {level: loud}\n", ":1:14", "loud is not one of its values", "debug, info, warn, error"},
    {"log: {format: \"\"}\n", ":1:15", "is not one of its values", "logfmt, json"},
    {"labels: [a]\n", ":1:9", "labels needs a mapping", "NAME: VALUE"},
    {"labels: {a-b: c}\n", ":1:10", "a-b is no label name", "letters"},
    {"labels: {__a: c}\n", ":1:10", "__a is no label name", "__"},
    {"labels: {a.b: c}\n", ":1:1", "a.b", "_ for the dots"},
    {"labels: {a: [b]}\n", ":1:13", "a needs a plain value", ""},
    {"labels: {a: \"${env:NOT_THERE}\"}\n", ":1:13", "NOT_THERE is not set", "set it"},
    {"labels: {a: \"${file:/not/there}\"}\n", ":1:13", "cannot read /not/there", ""},
    {"server: {listen: localhost}\n", ":1:10", "no port", "127.0.0.1:7072"},
    {"server: {listen: \"localhost:http\"}\n", ":1:10", "no port", ""},
    {"server: {listen: \"localhost:65536\"}\n", ":1:10", "no port", ""},
    {"server: {listen: \"::1:7072\"}\n", ":1:10", "brackets", "[ADDRESS]:PORT"},
    {"server: {listen: \"unix:relative\"}\n", ":1:10", "absolute path", ""},
    /* Exporters */
    {"exporters: {type: file}\n", ":1:12", "exporters needs a list", "dash"},
    {"exporters: [file]\n", ":1:13", "an exporter is a mapping", ""},
    {"exporters: [{name: a}]\n", ":1:13", "has no type", "pyroscope, parca"},
    {"exporters: [{type: grafana}]\n", ":1:20", "unknown type of exporter grafana", "parca"},
    {"exporters: [{type: [file]}]\n", ":1:20", "unknown type of exporter", ""},
    {"exporters: [{type: parca}]\n", ":1:13", "it has no address", "add url"},
    {"exporters: [{type: parca, url: x, addres: y}]\n", ":1:35", "unknown key addres", ""},
    {"exporters: [{type: parca, url: x, address: y}]\n", ":1:35", "says the same", "keep one"},
    {"exporters: [{type: parca, url: x, protocol: grpc}]\n", ":1:35", "does not belong", ""},
    {"exporters: [{type: otlp, url: x, tenant: a}]\n", ":1:34", "tenant does not belong", ""},
    {"exporters: [{type: parca, url: x, compression: gzip}]\n", ":1:35", "does not belong", ""},
    {"exporters: [{type: file, url: x}]\n", ":1:26", "url does not belong", "known here: type"},
    {"exporters: [{type: parca, url: x, directory: y}]\n", ":1:35", "does not belong", ""},
    {"exporters: [{type: otlp, url: x, protocol: thrift}]\n", ":1:44", "thrift", "grpc"},
    {"exporters: [{type: parca, url: \"ftp://x\"}]\n", ":1:13", "unknown scheme", "http://"},
    {"exporters: [{type: parca, url: \"http://\"}]\n", ":1:13", "no host", "http://HOST:PORT"},
    {"exporters: [{type: parca, url: \"http://:80\"}]\n", ":1:13", "no host", ""},
    {"exporters: [{type: parca, url: \"http://x:99999\"}]\n", ":1:13", "bad port", ""},
    {"exporters: [{type: parca, url: \"http://x:0\"}]\n", ":1:13", "bad port", ""},
    {"exporters: [{type: parca, url: \"http://[]:80\"}]\n", ":1:13", "no host", ""},
    {"exporters: [{type: parca, url: \"http://a b\"}]\n", ":1:13", "space", ""},
    {"exporters: [{type: parca, url: x, timeout: 0s}]\n", ":1:44", "timeout: 0s is too small", ""},
    {"exporters: [{type: parca, url: x, headers: {\"a b\": c}}]\n", ":1:45", "no header name", ""},
    {"exporters: [{type: parca, url: x, headers: {a: \"b\\nc: d\"}}]\n", ":1:48",
     "control characters", ""},
    {"exporters: [{type: parca, url: x, basic_auth: {password: s3cret}}]\n", ":1:13",
     "without a user name", "basic_auth.username"},
    {"exporters: [{type: parca, url: x, basic_auth: {username: u, password: s3cret, "
     "password_file: f}}]\n",
     ":1:13", "both password and password_file", "keep one"},
    {"exporters: [{type: parca, url: x, bearer_token: s3cret, bearer_token_file: f}]\n", ":1:13",
     "both bearer_token", ""},
    {"exporters: [{type: parca, url: x, bearer_token: s3cret, basic_auth: {username: u}}]\n",
     ":1:13", "more than one of basic_auth", "keep one"},
    {"exporters: [{type: parca, url: x, basic_auth: s3cret}]\n", ":1:47",
     "basic_auth needs a mapping", ""},
    {"exporters: [{type: parca, url: x, bearer_token: [s3cret]}]\n", ":1:49", "needs a plain value",
     ""},
    {"exporters: [{type: parca, url: x, oauth2: {client_id: a}}]\n", ":1:13",
     "oauth2 is incomplete", "token_url"},
    {"exporters: [{type: parca, url: x, tls_config: {cert_file: a}}]\n", ":1:13", "belong together",
     ""},
    {"exporters: [{type: parca, url: \"https://x\", tls_config: {insecure: true}}]\n", ":1:13",
     "insecure with an https address", ""},
    {"exporters: [{type: parca, url: x, retry_on_failure: {initial_interval: 1m}}]\n", ":1:13",
     "longer than max_interval", ""},
    {"exporters: [{type: parca, url: x, name: a}, {type: parca, url: x, name: a}]\n", ":1:13",
     "used twice", "own name"},
    {"exporters: [{type: parca, url: x, name: \"a b\"}]\n", ":1:13", "unusable name", ""},
    {"exporters: [{type: parca, url: x, external_labels: {a.b: c}}]\n", ":1:13", "dots", ""},
    {"exporters: [{type: parca, url: \"http://[::1\"}]\n", ":1:13", "no host", ""},
    {"exporters: [{type: parca, url: x, name: "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaa}]\n",
     ":1:13", "the name is too long", "63 characters"},
    {"exporters: [{type: pyroscope, url: x, tenant: \"a-${namespace\"}]\n", ":1:13", "tenant",
     "${namespace}"},
    {"exporters: [{type: pyroscope, url: x, tenant: \"${}\"}]\n", ":1:13", "tenant", ""},
    {"exporters: [{type: parca, url: x, oauth2: {client_id: a, token_url: b, client_secret: s3cret,"
     " client_secret_file: c}}]\n",
     ":1:13", "both client_secret", ""},
    {"exporters: [{type: parca, url: x, oauth2: {client_id: a, token_url: \"ftp://b\"}}]\n",
     ":1:13", "unknown scheme", ""},
    /* Rules */
    {"discovery: {relabel: [{action: relabel}]}\n", ":1:32", "relabel is not one of", "labeldrop"},
    {"discovery: {relabel: [{action: hashmod, source_labels: [a], target_label: b}]}\n", ":1:23",
     "modulus", ""},
    {"discovery: {relabel: [{source_labels: [a]}]}\n", ":1:23", "replace needs a target_label", ""},
    {"discovery: {relabel: [{action: labeldrop, separator: x}]}\n", ":1:43",
     "labeldrop does not know separator", ""},
    {"discovery: {relabel: [{action: dropequal, source_labels: [a], target_label: b, regex: c}]}\n",
     ":1:80", "dropequal does not know regex", ""},
    {"discovery: {relabel: [{action: labelmap, replacement: 9$1}]}\n", ":1:42",
     "9$1 cannot be a label", ""},
    {"discovery: {relabel: [{source_labels: [a.b], target_label: c}]}\n", ":1:24",
     "a.b cannot be a label", ""},
    {"discovery:\n  select:\n    - action: keep\n      regex: 'a(?=b)'\n", ":4:7",
     "a(?=b) looks around, which RE2 does not know (character 2)", "RE2"},
    {"discovery: {select: [{action: drop, regex: '(a)\\1'}]}\n", ":1:37",
     "has a back-reference, which RE2 does not know", "RE2"},
    {"discovery: {select: [{action: drop, regex: 'a('}]}\n", ":1:37", "has no ) for its (", ""},
    {"discovery: {relabel: [{action: labeldrop, target_label: a}]}\n", ":1:43",
     "does not know target_label", ""},
    {"discovery: {relabel: [{sourc_labels: [a]}]}\n", ":1:24", "unknown key sourc_labels",
     "source_labels"},
    {"discovery: {select: [{action: replace, target_label: a}]}\n", ":1:22", "in select",
     "keep and drop"},
    {"discovery: {select: {action: keep}}\n", ":1:21", "discovery.select needs a list", ""},
};

/* A place that ends with a colon leaves the column to libyaml. */
static bool at_place(const char *where, const char *place)
{
    size_t len = strlen(path), more = strlen(place);

    return strncmp(where, path, len) == 0 &&
           (place[more - 1] == ':' ? strncmp(where + len, place, more) == 0
                                   : strcmp(where + len, place) == 0);
}

static int load(const char *yaml, size_t len, struct pst_config **ret, struct pst_error *error)
{
    static char *const environment[] = {(char *)"HOME=/home/someone", NULL};

    assert_int_equal(pst_io_write_atomic(path, yaml, len, 0600), 0);
    memset(error, 0, sizeof *error);
    return pst_config_load(path, NULL, 0, environment, ret, error);
}

static void each_error_has_its_place_and_hint(void **state)
{
    unsigned failed = 0;

    for (size_t i = 0; i < PST_ARRAY_SIZE(rows); i++) {
        struct pst_config *config = NULL;
        struct pst_error error;
        size_t len = strlen(rows[i].yaml) + (rows[i].yaml[0] == '\xff' ? 3 : 0);
        int rc = load(rows[i].yaml, len, &config, &error);
        bool fits = rc < 0 && error.code == PST_EXIT_USAGE &&
                    at_place(error.where, rows[i].place) && strstr(error.text, rows[i].text) &&
                    strstr(error.remedy, rows[i].remedy) && !strstr(error.text, "s3cret");
        if (!fits)
            print_error("%s -> %d %s | %s | %s\n", rows[i].yaml, rc, error.where, error.text,
                        error.remedy);
        (void)pst_config_unref(config);
        failed += !fits;
    }
    assert_int_equal(failed, 0);
}

/* Puts the text so many times, each # of it as the number of the turn. */
static void repeat(struct pst_buf *yaml, const char *text, int times)
{
    for (int turn = 0; turn < times; turn++)
        for (const char *c = text; *c; c++)
            assert_int_equal(
                *c == '#' ? pst_buf_printf(yaml, "%d", turn) : pst_buf_append(yaml, c, 1), 0);
}

/* Nine levels of ten aliases each. */
static void put_bomb(struct pst_buf *yaml)
{
    assert_int_equal(pst_buf_puts(yaml, "a0: &a0 [x]\n"), 0);
    for (int i = 1; i < 10; i++) {
        assert_int_equal(pst_buf_printf(yaml, "a%d: &a%d [", i, i), 0);
        for (int j = 0; j < 10; j++)
            assert_int_equal(pst_buf_printf(yaml, "*a%d,", i - 1), 0);
        assert_int_equal(pst_buf_puts(yaml, "]\n"), 0);
    }
}

static void put_large_files(struct pst_buf *yaml)
{
    pst_autofree char *block = calloc(1, 65001);

    assert_non_null(block);
    memset(block, 'x', 65000);
    assert_int_equal(pst_io_write_atomic(secret, block, 65000, 0600), 0);
    assert_int_equal(pst_buf_puts(yaml, "exporters:\n"), 0);
    for (int i = 0; i < 256; i++)
        assert_int_equal(pst_buf_printf(yaml, "- {type: parca, url: \"a${file:%s}\"}\n", secret),
                         0);
}

static void put_file_twice(struct pst_buf *yaml)
{
    assert_int_equal(
        pst_buf_printf(yaml, "labels: {a: \"${file:%s}${file:%s}\"}\n", secret, secret), 0);
}

/* What no one writes by hand: made by `make`, else `head`, `times` times `item`, `tail`. */
static const struct {
    const char *expected;
    const char *head, *item;
    int times;
    const char *tail;
    void (*make)(struct pst_buf *yaml);
} too_much[] = {
    {"nested too deeply", "labels: ", "[", 200, "", NULL},
    {"too many keys", "", "k#: 1\n", 5000, "", NULL},
    {"300 entries, at most 256", "exporters:\n", "- {type: file}\n", 300, "", NULL},
    {"larger than 1 MiB", "", "# comment\n", 200000, "", NULL},
    {"too many nodes", "", "", 0, "", put_bomb},
    {"labels: 31 entries, at most 30", "labels:\n", "  l#: x\n", 31, "", NULL},
    {"a: longer than 2048 bytes", "labels: {a: \"", "0", 3000, "\"}\n", NULL},
    {"is one item too many", "exporters: [{type: file, sample_labels: [", "l#,", 257, "]}]\n",
     NULL},
    {"has too many items", "exporters: [{type: file, sample_labels: \"l", ",l#", 257, "\"}]\n",
     NULL},
    {"the path is too long", "server: {listen: \"unix:/", "0", 200, "\"}\n", NULL},
    {"too many anchors", "exporters: [", "&a# a,", 1025, "]\n", NULL},
    {"one file too many", "exporters:\n", "- {type: parca, url: a, bearer_token_file: /f#}\n", 256,
     "", NULL},
    {"larger than a configuration may be", "", "", 0, "", put_large_files},
    {"cannot read", "", "", 0, "", put_file_twice},
};

static void bounds_hold(void **state)
{
    for (size_t i = 0; i < PST_ARRAY_SIZE(too_much); i++) {
        struct pst_config *config = NULL;
        struct pst_error error;
        pst_auto(pst_buf_done) struct pst_buf yaml;
        pst_buf_init(&yaml, 4 << 20);
        if (too_much[i].make)
            too_much[i].make(&yaml);
        assert_int_equal(pst_buf_puts(&yaml, too_much[i].head), 0);
        repeat(&yaml, too_much[i].item, too_much[i].times);
        assert_int_equal(pst_buf_puts(&yaml, too_much[i].tail), 0);
        assert_true(load(yaml.data, yaml.len, &config, &error) < 0);
        if (!strstr(error.text, too_much[i].expected))
            print_error("%s: %s\n", error.where, error.text);
        assert_non_null(strstr(error.text, too_much[i].expected));
        assert_int_equal(error.code, PST_EXIT_USAGE);
    }
}

static void a_missing_file_names_itself(void **state)
{
    struct pst_config *config = NULL;
    struct pst_error error;

    assert_true(pst_config_load("/not/there.yaml", NULL, 0, NULL, &config, &error) < 0);
    assert_int_equal(error.code, PST_EXIT_USAGE);
    assert_string_equal(error.where, "/not/there.yaml");
    assert_non_null(strstr(error.text, "No such file"));
}

static void outer_sources_are_named(void **state)
{
    static char *const home[] = {(char *)"HOME=/h", NULL};
    static char *const bad[] = {(char *)"HOME=/h", (char *)"PYSTROBE_SAMPLING_HZ=x", NULL};
    static char *const list[] = {(char *)"HOME=/h",
                                 (char *)"PYSTROBE_EXPORTERS=[{type: parca, urk: x}]", NULL};
    static char *const unknown[] = {(char *)"HOME=/h", (char *)"PYSTROBE_SAMPLNG_HZ=97", NULL};
    const char *sets[] = {"sampling.hz"}, *other[] = {"sampling.hzz=1"},
               *large[] = {"sampling.hz=5000"};
    struct pst_config *config = NULL;
    struct pst_error error;

    assert_true(pst_config_load(NULL, NULL, 0, bad, &config, &error) < 0);
    assert_string_equal(error.where, "PYSTROBE_SAMPLING_HZ");
    assert_true(pst_config_load(NULL, NULL, 0, list, &config, &error) < 0);
    assert_string_equal(error.where, "PYSTROBE_EXPORTERS:1:16");
    assert_non_null(strstr(error.text, "urk"));
    assert_true(pst_config_load(NULL, sets, 1, home, &config, &error) < 0);
    assert_string_equal(error.where, "--set");
    assert_non_null(strstr(error.text, "has no ="));
    assert_true(pst_config_load(NULL, other, 1, home, &config, &error) < 0);
    assert_string_equal(error.remedy, "did you mean hz?");
    assert_true(pst_config_load(NULL, large, 1, home, &config, &error) < 0);
    assert_non_null(strstr(error.text, "too large"));
    assert_int_equal(pst_config_load(NULL, NULL, 0, unknown, &config, &error), 0);
    assert_int_equal(config->warnings.count, 1);
    assert_non_null(strstr(config->warnings.items[0], "did you mean PYSTROBE_SAMPLING_HZ?"));
    (void)pst_config_unref(config);
}

static void standard_variables_are_checked(void **state)
{
    static const struct {
        const char *first, *second, *where, *text;
    } table[] = {
        {"PYROSCOPE_SERVER_ADDRESS=ftp://x", "A=b", "PYROSCOPE_SERVER_ADDRESS", "unknown scheme"},
        {"PARCA_ADDRESS=http://", "A=b", "PARCA_ADDRESS", "no host"},
        {"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=x", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
         "OTEL_EXPORTER_OTLP_PROTOCOL", "http/json is not one of its values"},
        {"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=x", "OTEL_EXPORTER_OTLP_TIMEOUT=10s",
         "OTEL_EXPORTER_OTLP_TIMEOUT", "not a timeout"},
        {"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=x", "OTEL_EXPORTER_OTLP_PROFILES_TIMEOUT=0",
         "OTEL_EXPORTER_OTLP_PROFILES_TIMEOUT", "not a timeout"},
        {"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=x", "OTEL_EXPORTER_OTLP_HEADERS=a",
         "OTEL_EXPORTER_OTLP_HEADERS", "without NAME="},
        {"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=x", "OTEL_EXPORTER_OTLP_HEADERS=a=b%0Ac",
         "OTEL_EXPORTER_OTLP_HEADERS", "a control character"},
        {"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=x", "OTEL_EXPORTER_OTLP_COMPRESSION=lz4",
         "OTEL_EXPORTER_OTLP_COMPRESSION", "lz4 is not one of its values"},
        {"PYSTROBE_LABELS={a: \xff}", "A=b", "PYSTROBE_LABELS", "not valid UTF-8"},
        {"PYSTROBE_SERVER_LISTEN=x", "A=b", "PYSTROBE_SERVER_LISTEN", "has no port"},
    };
    for (size_t i = 0; i < PST_ARRAY_SIZE(table); i++) {
        char *const environment[] = {(char *)"HOME=/h", (char *)table[i].first,
                                     (char *)table[i].second, NULL};
        struct pst_config *config = NULL;
        struct pst_error error = {0};
        int rc = pst_config_load(NULL, NULL, 0, environment, &config, &error);
        bool fits = rc < 0 && error.code == PST_EXIT_USAGE &&
                    strcmp(error.where, table[i].where) == 0 && strstr(error.text, table[i].text);
        if (!fits)
            print_error("%s %s -> %d %s | %s\n", table[i].first, table[i].second, rc, error.where,
                        error.text);
        assert_true(fits);
    }
}

/* They are meant for others too: an application must not lose its agent for them. */
static void resource_attributes_that_cannot_be_read_are_left_out_with_a_warning(void **state)
{
    static const struct {
        const char *value, *why;
    } table[] = {
        {"OTEL_RESOURCE_ATTRIBUTES=a=1,b", "without NAME="},
        {"OTEL_RESOURCE_ATTRIBUTES=a=1,=b", "without NAME="},
        {"OTEL_RESOURCE_ATTRIBUTES=a=%0a", "control character"},
        {"OTEL_RESOURCE_ATTRIBUTES=a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,"
         "q=1,r=1,s=1,t=1,u=1,v=1,w=1,x=1,y=1,z=1,aa=1,ab=1,ac=1,ad=1,ae=1",
         "more than 30 entries"},
    };
    for (size_t i = 0; i < PST_ARRAY_SIZE(table); i++) {
        char *const environment[] = {(char *)"HOME=/h",
                                     (char *)"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=x",
                                     (char *)table[i].value, NULL};
        struct pst_config *config = NULL;
        struct pst_error error = {0};
        assert_int_equal(pst_config_load(NULL, NULL, 0, environment, &config, &error), 0);
        assert_int_equal(config->exporters[0].external_labels.count, 0);
        assert_int_equal(config->warnings.count, 1);
        assert_non_null(strstr(config->warnings.items[0], "OTEL_RESOURCE_ATTRIBUTES: "));
        assert_non_null(strstr(config->warnings.items[0], table[i].why));
        (void)pst_config_unref(config);
    }
}

static void references_that_are_no_text_are_refused(void **state)
{
    static char *const environment[] = {(char *)"HOME=/h", (char *)"BAD=\xff", NULL};
    struct pst_config *config = NULL;
    struct pst_error error;
    char yaml[256];

    (void)snprintf(yaml, sizeof yaml, "labels: {a: \"${env:BAD}\"}\n");
    assert_int_equal(pst_io_write_atomic(path, yaml, strlen(yaml), 0600), 0);
    assert_true(pst_config_load(path, NULL, 0, environment, &config, &error) < 0);
    assert_non_null(strstr(error.text, "BAD is not UTF-8"));
    (void)snprintf(yaml, sizeof yaml, "labels: {a: \"${file:%s}\"}\n", secret);
    assert_int_equal(pst_io_write_atomic(path, yaml, strlen(yaml), 0600), 0);
    assert_int_equal(pst_io_write_atomic(secret, "a\0b", 3, 0600), 0);
    assert_true(pst_config_load(path, NULL, 0, environment, &config, &error) < 0);
    assert_non_null(strstr(error.text, "is not UTF-8 text"));
}

static void expanded_values_stay_out_of_errors(void **state)
{
    static char *const environment[] = {(char *)"HOME=/h", (char *)"VALUE=hunter2", NULL};
    static const char yaml[] = "sampling: {hz: \"${env:VALUE}\"}\n";
    struct pst_config *config = NULL;
    struct pst_error error;

    assert_int_equal(pst_io_write_atomic(path, yaml, sizeof yaml - 1, 0600), 0);
    assert_true(pst_config_load(path, NULL, 0, environment, &config, &error) < 0);
    assert_null(strstr(error.text, "hunter2"));
    assert_non_null(strstr(error.text, "the expanded value is not a number"));
}

static void no_home_is_an_error_with_a_remedy(void **state)
{
    struct pst_config *config = NULL;
    struct pst_error error;
    int rc = pst_config_load(NULL, NULL, 0, NULL, &config, &error);

    if (geteuid() == 0) {
        assert_int_equal(rc, 0);
        assert_string_equal(config->store.directory, "/var/lib/pystrobe");
        (void)pst_config_unref(config);
        return;
    }
    assert_true(rc < 0);
    assert_non_null(strstr(error.text, "needs XDG_STATE_HOME or HOME"));
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
        cmocka_unit_test(each_error_has_its_place_and_hint),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(a_missing_file_names_itself),
        cmocka_unit_test(outer_sources_are_named),
        cmocka_unit_test(standard_variables_are_checked),
        cmocka_unit_test(resource_attributes_that_cannot_be_read_are_left_out_with_a_warning),
        cmocka_unit_test(references_that_are_no_text_are_refused),
        cmocka_unit_test(expanded_values_stay_out_of_errors),
        cmocka_unit_test(no_home_is_an_error_with_a_remedy),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
