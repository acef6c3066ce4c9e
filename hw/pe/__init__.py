"""One processing element: pointers, queue, fetch, decoder, multiply-accumulate."""
