CREATE TABLE access_keys (
  id        TEXT PRIMARY KEY,
  name      TEXT NOT NULL,
  hash      BLOB NOT NULL,
  servers   TEXT NOT NULL,     -- names separated by blanks; empty is all
  created   INTEGER NOT NULL,  -- Unix seconds
  expires   INTEGER NOT NULL,
  last_used INTEGER NOT NULL,  -- 0 when never
  revoked   INTEGER NOT NULL   -- 0 when not
) STRICT;
CREATE INDEX access_keys_name ON access_keys (name);
