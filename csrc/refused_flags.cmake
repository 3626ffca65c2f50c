# Flags that change what arithmetic gives and that compilers do not tell the preprocessor; csrc/floating_point.h refuses
# the others. A pseudofeed with other bits would look right and disagree with every other one.
string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
if("${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${build_type}}" MATCHES
    "-funsafe-math-optimizations|-fassociative-math|-freciprocal-math|-fsingle-precision-constant|-ffp-model=(fast|aggressive)")
  message(FATAL_ERROR "pseudofeed needs IEEE arithmetic: compile without ${CMAKE_MATCH_0}")
endif()
