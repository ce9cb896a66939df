/* The caches of a Cortex-M7. */
#ifndef MQ_CACHE_H
#define MQ_CACHE_H

/* Both on, empty. */
void mq_cache_on(void);
/* What the data cache alone holds goes to memory: a reset would lose it. Nothing where there is none or it is off. */
void mq_cache_clean(void);

#endif
