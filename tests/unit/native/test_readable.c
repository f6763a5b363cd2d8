/* Names as people write them, out of any bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "readable.h"

static void cython_names_lose_scopes_and_numbers(void **state)
{
    static const struct {
        const char *symbol, *name;
    } rows[] = {
        {"__pyx_pw_8pyxshape_1outer", "outer"},
        {"__pyx_pf_8pyxshape_outer", "outer"},
        {"__pyx_pf_8pyxshape_2outer", "outer"},
        {"__pyx_f_8pyxshape_inner", "inner"},
        {"__pyx_pw_3mod_1f_x", "f_x"},
        {"__pyx_pf_3mod_5Class_method", "method"},
        {"__pyx_pw_3mod_5Class_7method", "method"},
        {"__pyx_pf_8implicit_4_als_30_least_squares", "_least_squares"},
        {"__pyx_fuse_1_0__pyx_pw_8implicit_4_als_31_least_squares", "_least_squares"},
        {"__pyx_f_3mod_f.isra.0", "f"},
        {"__pyx_f_999999999999999999999999", "999999999999999999999999"},
    };
    struct pst_str name;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(pst_cython_name(pst_str(rows[i].symbol), &name));
        assert_int_equal(name.len, strlen(rows[i].name));
        assert_memory_equal(name.ptr, rows[i].name, name.len);
    }
    assert_false(pst_cython_name(PST_STR("PyObject_Call"), &name));
    assert_false(pst_cython_name(PST_STR("__pyx_f_"), &name));
    assert_true(pst_cython_wrapper(PST_STR("__pyx_pw_3mod_1f")));
    assert_false(pst_cython_wrapper(PST_STR("__pyx_pf_3mod_f")));
}

enum { SYMBOL_BYTES = 4096 };

static void assert_demangled(const char *symbol, const char *expected)
{
    struct pst_buf out;

    pst_buf_init(&out, PST_MAX_DEMANGLED_BYTES);
    assert_int_equal(pst_demangle(symbol, &out), expected != NULL);
    if (expected)
        assert_string_equal(out.data, expected);
    pst_buf_done(&out);
}

static void assert_cut(const char *symbol, const char *beginning)
{
    struct pst_buf out;

    pst_buf_init(&out, PST_MAX_DEMANGLED_BYTES);
    assert_true(pst_demangle(symbol, &out));
    assert_true(out.len > PST_MAX_DEMANGLED_BYTES - 8 && out.len <= PST_MAX_DEMANGLED_BYTES);
    assert_memory_equal(out.data, beginning, strlen(beginning));
    assert_string_equal(out.data + out.len - 3, "…");
    pst_buf_done(&out);
}

static void cplusplus_and_rust_are_demangled(void **state)
{
    assert_demangled("_ZN4shop4TillIiE4ringEPFvvE", "shop::Till<int>::ring(void (*)())");
    assert_demangled("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write");
    assert_demangled("printf", NULL);
    assert_demangled("_RNvCs1234_7mycrate4work", "mycrate::work");
    assert_demangled("_Z", NULL);
    assert_demangled("", NULL);
}

/* Each parameter is a pair of the one before: 2^30 names in 400 bytes of symbol. */
static void a_name_without_end_is_cut(void **state)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct pst_buf symbol;

    pst_buf_init(&symbol, 2 * SYMBOL_BYTES);
    assert_int_equal(pst_buf_puts(&symbol, "_Z1f1AIiiE"), 0);
    for (int i = 0; i < 30; i++)
        assert_int_equal(pst_buf_printf(&symbol, "S_IS%c_S%c_E", digits[i], digits[i]), 0);
    assert_cut(symbol.data, "f(A<int, int>");
    pst_buf_reset(&symbol);
    assert_int_equal(pst_buf_puts(&symbol, "_Z1f"), 0);
    for (int i = 0; i < 60; i++)
        assert_int_equal(pst_buf_puts(&symbol, "N3abc3abcE"), 0);
    assert_cut(symbol.data, "f(abc::abc, abc::abc, ");
    pst_buf_reset(&symbol);
    assert_int_equal(pst_buf_puts(&symbol, "_RINvCs1234_7mycrate4work"), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pst_buf_puts(&symbol, "NtCs1234_7mycrate3abc"), 0);
    assert_int_equal(pst_buf_puts(&symbol, "E"), 0);
    assert_cut(symbol.data, "mycrate::work::<mycrate::abc, ");
    pst_buf_done(&symbol);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cython_names_lose_scopes_and_numbers),
        cmocka_unit_test(cplusplus_and_rust_are_demangled),
        cmocka_unit_test(a_name_without_end_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
