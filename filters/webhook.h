/* webhook.h: the filter "webhook", which lets a service of the operator's decide.
 *
 * The text is cut into pieces (webhook_batch.h), one after the other is posted as JSON, and
 * nothing of a piece goes on before the service has ruled on it (webhook_answer.h). What fails
 * is tried again, then the filter has failed, and the chain's `fail` says what that means; a
 * service that keeps failing is left alone for a while (webhook_breaker.h).
 */
#pragma once

#include "filters/filter.h"

extern const struct filter_type filter_webhook;
