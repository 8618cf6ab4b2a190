//! Custody of accepted mail: the queue, its history and its audit.
