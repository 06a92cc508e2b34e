package main

// Python writes to the process's file descriptor 1, which an Example does not look at.
func Example() {
	main()
	// Output: the square root of 2 is 1.414213562373095
}
