// A module of CPython's in C++.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace bakery {
class Oven {
public:
    __attribute__((noinline)) PyObject *bake(PyObject *then) const { return PyObject_CallFunctionObjArgs(then, nullptr); }
};
}

static PyObject *knead(PyObject *, PyObject *then)
{
    bakery::Oven oven;
    PyObject *bread = oven.bake(then);
    return bread ? PyLong_FromLong(PyObject_IsTrue(bread)) : nullptr;
}

static PyMethodDef methods[] = {{"knead", knead, METH_O, nullptr}, {nullptr, nullptr, 0, nullptr}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "extension", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit_extension()
{
    return PyModule_Create(&module);
}
