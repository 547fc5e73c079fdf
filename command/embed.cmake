# SPDX-License-Identifier: MIT
#
# Makes of the parts of the page a C file, which is linked into the command:
#
#   cmake -DOUTPUT=FILE -DFOLDER=page -P embed.cmake

set(script model.js graph.js tables.js page.js)
set(page_html page.html)
set(page_style page.css)
set(page_script ${script})

set(text "/* Generated from the folder page by embed.cmake. */\n#include \"page_parts.h\"\n")
foreach(part page_html page_style page_script)
    set(bytes "")
    foreach(file ${${part}})
        file(READ ${FOLDER}/${file} hexadecimal HEX)
        string(APPEND bytes "${hexadecimal}")
    endforeach()
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(REGEX REPLACE "((0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,))" "\\1\n"
        bytes "${bytes}")
    string(APPEND text "const char ${part}[] = {\n${bytes}0};\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
