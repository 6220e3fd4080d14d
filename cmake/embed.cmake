# Writes a file's bytes as a C array: cmake -DIN=file -DOUT=file.c -DNAME=name -DHEADER=path.h -P embed.cmake
# They are written as a string, which compilers read many times faster than a list of numbers.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${hex}")
string(REPEAT "...." 32 line)
string(REGEX REPLACE "(${line})" "\\1\"\n\"" bytes "${bytes}")
file(WRITE ${OUT} "#include \"${HEADER}\"\n\nconst unsigned char ${NAME}[] =\n\"${bytes}\";\nconst size_t ${NAME}_len = sizeof(${NAME}) - 1;\n")
