print("ounced")
