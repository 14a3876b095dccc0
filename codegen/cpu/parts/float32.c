typedef float element;

static inline vec load_elements(const element *from) { return load(from); }

static inline void store_elements(element *to, vec x) { store(to, x); }
