# Run as a script: makes OUT, a header with one array PREFIX_NAME of char for each of FILES (NAME: the file's name with
# everything but letters and digits as _). A NUL follows the file's bytes.
set(text "/* Made by cmake/embed.cmake. */\n")
foreach(path ${FILES})
    get_filename_component(name "${path}" NAME)
    string(REGEX REPLACE "[^A-Za-z0-9]" "_" name "${name}")
    file(READ "${path}" hex HEX)
    string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
    string(APPEND text "static const char ${PREFIX}_${name}[] = {\n${bytes}0};\n")
endforeach()
file(WRITE "${OUT}" "${text}")
