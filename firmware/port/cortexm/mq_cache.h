/* The caches of a Cortex-M7. */
#ifndef MQ_CACHE_H
#define MQ_CACHE_H

/* Enables both, empty. */
void mq_cache_on(void);
/* Writes the data cache back to memory, because a reset would lose it. Without effect if there is none or it is off. */
void mq_cache_clean(void);

#endif
