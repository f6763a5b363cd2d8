# Build rules shared by every folder: flags, one static library per leaf folder, generated protobuf-c code, cmocka tests.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Debug information names files from the source folder on, wherever that lies: other people's paths do not get into what
# is shipped, and a compiler cache serves every clone.
add_compile_options(-fdebug-prefix-map=${CMAKE_SOURCE_DIR}=.)

option(PST_WERROR "Treat warnings as errors" ON)
set(PST_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")
option(PST_FUZZ "Build libFuzzer targets (clang only)" OFF)
option(PST_COVERAGE "Count which lines run (clang only)" OFF)
option(PST_STATIC "Link one static file that runs under any libc" OFF)

if(PST_STATIC)
    set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
    set(PKG_CONFIG_ARGN --static)
endif()
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_program(PST_PROTOC_C protoc-c REQUIRED)

foreach(name libcurl libnghttp2 libprotobuf-c openssl libelf libdw yaml-0.1 sqlite3 libmicrohttpd zlib libzstd jansson
        libxxhash libpcre2-8 ncursesw libcap libseccomp cmocka)
    string(REPLACE "." "_" var "${name}")
    pkg_check_modules(${var} REQUIRED IMPORTED_TARGET ${name})
endforeach()

add_library(pst_flags INTERFACE)
target_compile_definitions(pst_flags INTERFACE _GNU_SOURCE PST_VERSION="${PROJECT_VERSION}")
target_compile_options(pst_flags INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wformat=2
    -Wno-unused-parameter -fno-strict-aliasing -fno-common -fstack-protector-strong -fno-omit-frame-pointer
    $<$<BOOL:${PST_WERROR}>:-Werror>)
target_link_options(pst_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
if(PST_STATIC)
    target_link_options(pst_flags INTERFACE -static-pie)
endif()
if(PST_SANITIZE)
    target_compile_options(pst_flags INTERFACE -fsanitize=${PST_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(pst_flags INTERFACE -fsanitize=${PST_SANITIZE})
    target_compile_definitions(pst_flags INTERFACE PST_SANITIZED=1)
elseif(PST_COVERAGE)
    # The place is built in: children of tests have no environment.
    target_compile_options(pst_flags INTERFACE
        "-fprofile-instr-generate=${CMAKE_BINARY_DIR}/profiles/%p.profraw" -fcoverage-mapping)
    target_link_options(pst_flags INTERFACE -fprofile-instr-generate)
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
    target_compile_options(pst_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()

# pst_library(NAME [DEPS module...] [LIBS imported-target...] [PROTOS file...])
# Everything in the folder belongs to the library; include/ is its public face.
function(pst_library name)
    cmake_parse_arguments(A "" "" "DEPS;LIBS;PROTOS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.c")
    if(NOT sources)
        file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/empty.c" "typedef int pst_empty_library;\n")
        set(sources "${CMAKE_CURRENT_BINARY_DIR}/empty.c")
    endif()
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}/include" PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
    target_link_libraries(${name} PUBLIC ${A_DEPS} PRIVATE pst_flags ${A_LIBS} Threads::Threads)
    foreach(proto ${A_PROTOS})
        pst_protobuf(${name} ${proto})
    endforeach()
endfunction()

# protoc-c output is other people's generator's code: it is compiled apart, without our warnings.
function(pst_protobuf name proto)
    get_filename_component(stem ${proto} NAME_WE)
    set(out "${CMAKE_CURRENT_BINARY_DIR}/gen")
    file(MAKE_DIRECTORY "${out}")
    add_custom_command(OUTPUT "${out}/${stem}.pb-c.c" "${out}/${stem}.pb-c.h"
        COMMAND ${PST_PROTOC_C} --c_out=${out} -I "${CMAKE_CURRENT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}/${proto}"
        DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${proto}" VERBATIM)
    add_library(${name}_${stem}_pb STATIC "${out}/${stem}.pb-c.c" "${out}/${stem}.pb-c.h")
    target_include_directories(${name}_${stem}_pb SYSTEM PUBLIC "${out}")
    target_link_libraries(${name}_${stem}_pb PUBLIC PkgConfig::libprotobuf-c)
    if(PST_SANITIZE)
        target_compile_options(${name}_${stem}_pb PRIVATE -fsanitize=${PST_SANITIZE})
    endif()
    target_link_libraries(${name} PRIVATE ${name}_${stem}_pb)
endfunction()

# pst_unit_tests(MODULE [LIBS ...]): every test_*.c of this folder is one cmocka program linked with MODULE.
function(pst_unit_tests module)
    cmake_parse_arguments(A "" "" "LIBS" ${ARGN})
    file(GLOB tests CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/test_*.c")
    set(limit_s 120)
    if(PST_SANITIZE) # a list with commas, which a generator expression would take apart
        set(limit_s 400)
    endif()
    foreach(source ${tests})
        get_filename_component(stem ${source} NAME_WE)
        string(REPLACE "test_" "" what ${stem})
        set(target "unit_${module}_${what}")
        add_executable(${target} ${source})
        target_link_libraries(${target} PRIVATE pst_flags ${module} ${A_LIBS} PkgConfig::cmocka)
        target_include_directories(${target} PRIVATE $<TARGET_PROPERTY:${module},SOURCE_DIR>)
        add_test(NAME unit/${module}/${what} COMMAND ${target} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
        # Sanitizers make the longest, which take half a minute, ten times as long.
        set_tests_properties(unit/${module}/${what} PROPERTIES TIMEOUT ${limit_s} LABELS unit)
    endforeach()
endfunction()

# pst_embed(MODULE PREFIX HEADER file...): the files' bytes as arrays in a header of the module's own.
function(pst_embed module prefix header)
    list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/" OUTPUT_VARIABLE files)
    set(out "${CMAKE_CURRENT_BINARY_DIR}/embedded/${header}")
    set(script "${PROJECT_SOURCE_DIR}/cmake/embed.cmake")
    add_custom_command(OUTPUT "${out}"
        COMMAND ${CMAKE_COMMAND} "-DFILES=${files}" "-DOUT=${out}" "-DPREFIX=${prefix}" -P "${script}"
        DEPENDS ${files} "${script}" VERBATIM)
    target_sources(${module} PRIVATE "${out}")
    target_include_directories(${module} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/embedded")
endfunction()

# The test's malloc, calloc, realloc and free go through tests/unit/failing.h.
function(pst_wrap_allocations target)
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests/unit")
    target_link_options(${target} PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=free)
endfunction()
