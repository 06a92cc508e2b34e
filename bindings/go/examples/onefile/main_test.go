package main

func Example() {
	main()
	// Output:
	// the square root of 2 is 1.414213562373095, in this process: true
	// the square root of 2 is 1.414213562373095, in this process: false
}
