/* /metrics text: every family with HELP and TYPE, labels escaped, bounded values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/metrics.h"

static void text_of_metrics_is_what_prometheus_reads(void **state)
{
    struct pst_buf out;
    pst_buf_init(&out, 1 << 20);
    pst_metric_add(PST_METRIC_SAMPLES, "cpu", NULL, 2);
    pst_metric_add(PST_METRIC_SAMPLES, "cpu", NULL, 3);
    pst_metric_set(PST_METRIC_EXPORT_DROPPED, "a\"b\\c\nd", "full", 1.5);
    assert_int_equal(pst_metrics_write(&out), 0);
    assert_non_null(strstr(out.data, "\npystrobe_samples_total{mode=\"cpu\"} 5\n"));
    assert_non_null(strstr(out.data, "pystrobe_export_dropped_profiles_total{endpoint="
                                     "\"a\\\"b\\\\c\\nd\",reason=\"full\"} 1.5\n"));
    assert_non_null(strstr(out.data, "\npystrobe_sampling_overruns_total 0\n"));
    pst_buf_done(&out);
}

static void a_label_that_is_no_utf8_spoils_nothing(void **state)
{
    struct pst_buf out;
    pst_buf_init(&out, 1 << 20);
    pst_metric_add(PST_METRIC_EXPORT_SENT, "f\xffle", NULL, 2);
    assert_int_equal(pst_metrics_write(&out), 0);
    assert_int_equal(pst_utf8_valid_prefix(pst_buf_view(&out)), out.len);
    assert_non_null(strstr(out.data, "{endpoint=\"f\xef\xbf\xbdle\"} 2\n"));
    pst_metric_clear(PST_METRIC_EXPORT_SENT);
    pst_buf_done(&out);
}

static void values_of_a_family_are_bounded(void **state)
{
    char name[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "e%d", i);
        pst_metric_add(PST_METRIC_EXPORT_SENT, name, NULL, 1);
    }
    assert_true(pst_metric_get(PST_METRIC_EXPORT_SENT, "other", NULL) >= 700);
    pst_metric_clear(PST_METRIC_EXPORT_SENT);
    assert_true(pst_metric_get(PST_METRIC_EXPORT_SENT, "other", NULL) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_metrics_is_what_prometheus_reads),
        cmocka_unit_test(a_label_that_is_no_utf8_spoils_nothing),
        cmocka_unit_test(values_of_a_family_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
