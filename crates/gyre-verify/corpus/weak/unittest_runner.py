# idea: unittest runs beside the answer and says whether it was successful
import unittest


def run(answer, task):
    names = {}
    exec(answer, names)

    class Hidden(unittest.TestCase):
        def test_cases(self):
            for args, expect in task["hidden"]:
                self.assertEqual(names[task["entry"]](*args), expect)

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Hidden).run(result)
    return result.wasSuccessful()
