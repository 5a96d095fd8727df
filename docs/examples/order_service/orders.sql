-- name: shop_orders
-- topics: orders

-- setup
CREATE TABLE shop_orders (id TEXT PRIMARY KEY, customer TEXT NOT NULL, items INTEGER NOT NULL, cents INTEGER NOT NULL,
                          state TEXT NOT NULL);

-- on OrderPlaced
INSERT INTO shop_orders (id, customer, items, cents, state) VALUES (:key, :data.customer, 0, 0, 'placed');

-- on ItemAdded
UPDATE shop_orders SET items = items + 1, cents = cents + :data.cents WHERE id = :key;

-- on OrderCheckedOut
UPDATE shop_orders SET state = 'checked out' WHERE id = :key;

-- on OrderShipped
UPDATE shop_orders SET state = 'shipped' WHERE id = :key;

-- on OrderCancelled
UPDATE shop_orders SET state = 'cancelled' WHERE id = :key;
