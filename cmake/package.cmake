# What an installation holds, and the Debian package made of it by cpack (the tarball and the wheel: tools/package.py). Only the static file is packaged: it
# runs on every distribution, so that a package has no library to depend on.
set(deploy "${CMAKE_CURRENT_SOURCE_DIR}/deploy")
set(made "${CMAKE_BINARY_DIR}/install")
set(doc "share/doc/pystrobe")

foreach(pair "bash:share/bash-completion/completions:pystrobe" "zsh:share/zsh/vendor-completions:_pystrobe"
        "fish:share/fish/vendor_completions.d:pystrobe.fish")
    string(REPLACE ":" ";" pair "${pair}")
    list(GET pair 0 shell)
    list(GET pair 1 folder)
    list(GET pair 2 name)
    set(file "${made}/${shell}/${name}")
    add_custom_command(OUTPUT "${file}" COMMAND ${CMAKE_COMMAND} -E make_directory "${made}/${shell}"
        COMMAND "${PST_WRITER}" completions ${shell} > "${file}" DEPENDS pystrobe VERBATIM)
    list(APPEND completions "${file}")
    install(FILES "${file}" DESTINATION ${folder})
endforeach()
add_custom_target(completion_files ALL DEPENDS ${completions})

install(TARGETS pystrobe RUNTIME DESTINATION bin)
install(DIRECTORY "${CMAKE_BINARY_DIR}/man/" DESTINATION share/man/man1 FILES_MATCHING PATTERN "*.1")
install(FILES "${deploy}/systemd/pystrobe.service" DESTINATION lib/systemd/system)
install(FILES "${deploy}/packages/pystrobe.yaml" DESTINATION /etc/pystrobe)
install(FILES README.md CHANGELOG.md SECURITY.md docs/commands.md docs/configuration.md DESTINATION ${doc})
install(FILES "${deploy}/packages/copyright" DESTINATION ${doc})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pystrobe)
set(CPACK_PACKAGE_VENDOR pystrobe)
set(CPACK_PACKAGE_CONTACT "The pystrobe developers <pystrobe@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "continuous profiling of Python processes from outside")
set(CPACK_PACKAGE_DESCRIPTION "Samples every CPython process of a host without stopping or changing it and delivers profiles
to Pyroscope, Parca or OTLP receivers, or keeps them and shows them on a local page.")
set(CPACK_PACKAGE_DIRECTORY "${CMAKE_SOURCE_DIR}/build/packages")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
if(CMAKE_CROSSCOMPILING)
    set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
endif()
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${deploy}/packages/postinst" "${deploy}/packages/prerm" "${deploy}/packages/postrm"
    "${deploy}/packages/conffiles")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
