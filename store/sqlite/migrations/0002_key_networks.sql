ALTER TABLE access_keys ADD COLUMN networks TEXT NOT NULL DEFAULT ''; -- address ranges separated by blanks; empty is any
