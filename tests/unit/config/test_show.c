/* The effective configuration as text: reads back, keeps secrets to itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "config/config.h"

static char folder[64], path[96];
static char *const environment[] = {(char *)"HOME=/home/someone", (char *)"TOKEN=s3cret-env",
                                    (char *)"PYSTROBE_LOG_LEVEL=warn", NULL};

static const char full[] =
    "sampling: {hz: 97.5, modes: [gil], share: 12.5%}\n"
    "labels: {team: search, api_key: s3cret-label, odd: \"a \\\"b\\\" \\\\ ${x} $${env:Y} \\t\"}\n"
    "discovery:\n"
    "  relabel: [{source_labels: [a], target_label: b, regex: \"^[^@]+@x?y=1\"}]\n"
    "  kubernetes: {kubelet: {url: \"https://u:s3cret@h/\"}}\n"
    "exporters:\n"
    "- type: pyroscope\n"
    "  url: http://user:s3cret@host:4040/path?token=s3cret&x=1\n"
    "  proxy_url: http://u:s3cret@proxy:1\n"
    "  headers: {X-Any: s3cret}\n"
    "  basic_auth: {username: me, password: s3cret}\n"
    "  sample_labels: []\n"
    "- {type: parca, url: user:s3cret@h, bearer_token: \"${env:TOKEN}\"}\n"
    "- {type: otlp, url: h, oauth2: {client_id: i, client_secret: s3cret, token_url: "
    "\"http://a:s3cret@b\"}}\n"
    "- {type: file, directory: /x}\n";

static void show(const char *yaml, struct pst_buf *out)
{
    struct pst_config *config = NULL;
    struct pst_error error = {0};
    int rc;

    assert_int_equal(pst_io_write_atomic(path, yaml, strlen(yaml), 0600), 0);
    rc = pst_config_load(path, NULL, 0, environment, &config, &error);
    if (rc < 0)
        print_error("%s: %s\n", error.where, error.text);
    assert_int_equal(rc, 0);
    pst_buf_init(out, 1 << 20);
    assert_int_equal(pst_config_show(config, out), 0);
    (void)pst_config_unref(config);
}

static void no_secret_is_shown(void **state)
{
    struct pst_buf out;

    show(full, &out);
    if (strstr(out.data, "s3cret"))
        print_error("%s", out.data);
    assert_null(strstr(out.data, "s3cret"));
    assert_non_null(strstr(out.data, "http://***@host:4040/path?token=***&x=1"));
    assert_non_null(strstr(out.data, "url: \"***@h\""));
    assert_non_null(strstr(out.data, "regex: \"^[^@]+@x?y=1\""));
    pst_buf_done(&out);
}

/* Comments name lines, which move; the values must not. */
static void strip_comments(struct pst_buf *text)
{
    size_t used = 0;
    bool comment = false;

    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] == '#' && i > 0 && text->data[i - 1] == ' ')
            comment = true;
        if (text->data[i] == '\n')
            comment = false;
        if (!comment)
            text->data[used++] = text->data[i];
        while (!comment && used > 1 && text->data[used - 1] == '\n' && text->data[used - 2] == ' ')
            text->data[--used - 1] = '\n';
    }
    text->len = used;
    text->data[used] = 0;
}

static void what_is_shown_reads_back(void **state)
{
    struct pst_buf first, second;

    show(full, &first);
    show(first.data, &second);
    strip_comments(&first);
    strip_comments(&second);
    assert_string_equal(first.data, second.data);
    assert_non_null(strstr(first.data, "  hz: 97.5\n"));
    assert_non_null(strstr(first.data, "  share: 12.5%\n"));
    pst_buf_done(&first);
    pst_buf_done(&second);
}

static void sources_are_named(void **state)
{
    struct pst_buf out;

    show("sampling:\n  hz: 50\n", &out);
    assert_non_null(strstr(out.data, "hz: 50 # file, line 2\n"));
    assert_non_null(strstr(out.data, "level: warn # PYSTROBE_LOG_LEVEL\n"));
    assert_non_null(strstr(out.data, "window: 15s\n"));
    pst_buf_done(&out);
}

static void schema_and_docs_fit_their_bounds(void **state)
{
    struct pst_buf out;

    pst_buf_init(&out, 1 << 20);
    assert_int_equal(pst_config_schema(&out), 0);
    assert_non_null(strstr(out.data, "draft/2020-12"));
    pst_buf_reset(&out);
    assert_int_equal(pst_config_docs(&out), 0);
    assert_non_null(strstr(out.data, "`sampling.hz`"));
    pst_buf_done(&out);
    pst_buf_init(&out, 16);
    assert_true(pst_config_docs(&out) < 0);
    assert_true(pst_config_schema(&out) < 0);
    pst_buf_done(&out);
}

static int setup(void **state)
{
    (void)snprintf(folder, sizeof folder, "/tmp/pystrobe-config-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/pystrobe.yaml", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_secret_is_shown),
        cmocka_unit_test(what_is_shown_reads_back),
        cmocka_unit_test(sources_are_named),
        cmocka_unit_test(schema_and_docs_fit_their_bounds),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
