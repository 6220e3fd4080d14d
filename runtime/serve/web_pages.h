/* web_pages.h: the chat page and the console, and what they load.
 *
 * All is in memory (runtime/web/page.h), in the shortest form that the browser takes. A page is
 * asked for anew each time and is 304 if it has not changed; scripts and styles are kept for
 * good. The Content-Security-Policy lets a page run and load nothing but what this server has.
 */
#pragma once

#include "runtime/net/http_server.h"

/* Answers what stands under the request's path; 404 if nothing does. */
void web_pages_answer(struct http_exchange *ex);
