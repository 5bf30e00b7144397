-- What a person allowed, as JSON. The release before writes none of it: without one it is everything.
ALTER TABLE authorization_requests ADD COLUMN permission TEXT; -- null until the person has approved
ALTER TABLE grants ADD COLUMN permission TEXT;
