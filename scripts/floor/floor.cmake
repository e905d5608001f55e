# SPDX-License-Identifier: Apache-2.0
#
# The floor: binaries that load on glibc 2.28, made with a compiler and a glibc that are newer. Objects do not know
# which version of a symbol they will be bound to; the linker decides it by the libraries that it sees. So it sees
# stubs with the symbols and versions of glibc 2.28 (symbols.txt), before the system's own. docs/building.md draws it.
#
# link_to_floor(TARGET) is all that the rest uses. BLOCKPULL_FLOOR names the architecture: x64 or arm64.

set(floor_folder ${CMAKE_BINARY_DIR}/floor)
set(floor_tools ${CMAKE_CURRENT_LIST_DIR})
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${floor_tools}/symbols.txt ${floor_tools}/make-stubs.mjs)
execute_process(
  COMMAND ${node_program} ${floor_tools}/make-stubs.mjs ${floor_tools}/symbols.txt ${BLOCKPULL_FLOOR} ${floor_folder}
  COMMAND_ERROR_IS_FATAL ANY)

set(floor_files "")
file(GLOB stub_sources ${floor_folder}/*.c)
foreach(source ${stub_sources})
  cmake_path(GET source STEM LAST_ONLY file)
  set(stub floor_${file})
  add_library(${stub} SHARED ${source})
  set_target_properties(${stub} PROPERTIES PREFIX "" SUFFIX "" OUTPUT_NAME ${file} NO_SONAME ON
    LIBRARY_OUTPUT_DIRECTORY ${floor_folder} LINK_DEPENDS ${floor_folder}/${file}.map)
  target_compile_options(${stub} PRIVATE -w -ffreestanding -fno-builtin -fno-stack-protector)
  target_link_options(${stub} PRIVATE -nostdlib -Wl,-soname,${file}
    -Wl,--version-script=${floor_folder}/${file}.map)
  list(APPEND floor_files ${floor_folder}/${file})
endforeach()
add_library(floor STATIC ${floor_tools}/stand-ins.c)
set_target_properties(floor PROPERTIES POSITION_INDEPENDENT_CODE ON ARCHIVE_OUTPUT_DIRECTORY ${floor_folder}
  C_VISIBILITY_PRESET hidden)

function(link_to_floor target)
  target_link_options(${target} BEFORE PRIVATE -L${floor_folder})
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${floor_files} ${floor_folder}/libfloor.a)
  get_property(stubs DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
  list(FILTER stubs INCLUDE REGEX "^floor")
  add_dependencies(${target} ${stubs})
endfunction()
