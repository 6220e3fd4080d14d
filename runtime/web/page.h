/* page.h: the chat page, runtime/web/chat.html, as bytes in the program. */
#pragma once

#include <stddef.h>

extern const unsigned char web_page[];
extern const size_t web_page_len;
